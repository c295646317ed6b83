/**
 * Blocks of the pcapng capture file format (draft-ietf-opsawg-pcapng): what Wireshark and tcpdump read.
 * Little-endian; packets begin with their IP header (LINKTYPE_RAW), times are in nanoseconds.
 */

const SECTION_HEADER = 0x0a0d0d0a;
const BYTE_ORDER_MAGIC = 0x1a2b3c4d;
const INTERFACE_DESCRIPTION = 1;
const INTERFACE_STATISTICS = 5;
const ENHANCED_PACKET = 6;
const LINKTYPE_RAW = 101;

const OPT_END = 0;
const OPT_COMMENT = 1;
const SHB_OS = 3;
const SHB_USERAPPL = 4;
const IF_NAME = 2;
const IF_DESCRIPTION = 3;
const IF_TSRESOL = 9;
const IF_FILTER = 11;
const IF_OS = 12;
const EPB_FLAGS = 2;
const EPB_DROPCOUNT = 4;
const ISB_STARTTIME = 2;
const ISB_ENDTIME = 3;
const ISB_IFRECV = 4;
const ISB_IFDROP = 5;
const ISB_USRDELIV = 8;

/** Of `if_filter`: what follows is an expression. */
const FILTER_TEXT = 0;
const NANOSECONDS = 9;
/** Of `epb_flags`, the two lowest bits. */
const INBOUND = 1;
const OUTBOUND = 2;

const encoder = new TextEncoder();
/** A length of an option has 16 bits. */
const MAX_OPTION = 65_535;

type PcapngOption = readonly [code: number, value: Uint8Array];

export interface CaptureDescription {
  /** What writes the file. */
  readonly application: string;
  readonly os: string;
  readonly interfaceName: string;
  readonly interfaceDescription: string;
  readonly filter: string | undefined;
  readonly snaplen: number;
}

/** The beginning of a file: a section with one interface, whose number is 0. */
export function pcapngHeader(about: CaptureDescription): Uint8Array {
  const section = new Uint8Array(16);
  const view = new DataView(section.buffer);
  view.setUint32(0, BYTE_ORDER_MAGIC, true);
  view.setUint16(4, 1, true);
  // Its length is not known: -1.
  view.setBigInt64(8, -1n, true);
  const interfaceBody = new Uint8Array(8);
  const interfaceView = new DataView(interfaceBody.buffer);
  interfaceView.setUint16(0, LINKTYPE_RAW, true);
  interfaceView.setUint32(4, about.snaplen, true);
  return concatenate([
    block(SECTION_HEADER, section, [
      [SHB_OS, text(about.os)],
      [SHB_USERAPPL, text(about.application)],
    ]),
    block(INTERFACE_DESCRIPTION, interfaceBody, [
      [IF_NAME, text(about.interfaceName)],
      [IF_DESCRIPTION, text(about.interfaceDescription)],
      [IF_TSRESOL, Uint8Array.of(NANOSECONDS)],
      ...(about.filter === undefined
        ? []
        : [[IF_FILTER, concatenate([Uint8Array.of(FILTER_TEXT), text(about.filter)])] as const]),
      [IF_OS, text(about.os)],
    ]),
  ]);
}

export interface PcapngPacket {
  /** Milliseconds since 1970, with a fraction. */
  readonly time: number;
  readonly direction: 'in' | 'out';
  readonly comment: string;
  /** Bytes of the packet, of which `bytes` are the first. */
  readonly length: number;
  readonly bytes: Uint8Array;
  readonly lostBefore: number;
}

/** Packets one behind the other, in one piece of memory: at some hundred thousand a second it counts. */
export function pcapngPackets(packets: readonly PcapngPacket[]): Uint8Array {
  const bytes = new Uint8Array(packets.reduce((sum, packet) => sum + sizeOf(packet), 0));
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const packet of packets) at = putPacket(bytes, view, at, packet);
  return bytes;
}

function sizeOf({ bytes, comment, lostBefore }: PcapngPacket): number {
  const options = 4 + padded(commentBytes(comment).length) + 8 + (lostBefore > 0 ? 12 : 0) + 4;
  return 12 + 20 + padded(bytes.length) + options;
}

/** Returns where the next one begins. */
function putPacket(into: Uint8Array, view: DataView, begin: number, packet: PcapngPacket): number {
  const { time, direction, comment, length, bytes, lostBefore } = packet;
  const total = sizeOf(packet);
  view.setUint32(begin, ENHANCED_PACKET, true);
  view.setUint32(begin + 4, total, true);
  setTime(view, begin + 12, time);
  view.setUint32(begin + 20, bytes.length, true);
  view.setUint32(begin + 24, length, true);
  into.set(bytes, begin + 28);
  let at = begin + 28 + padded(bytes.length);
  at = putOption(into, view, at, OPT_COMMENT, commentBytes(comment));
  view.setUint32(at, EPB_FLAGS | (4 << 16), true);
  view.setUint32(at + 4, direction === 'in' ? INBOUND : OUTBOUND, true);
  at += 8;
  if (lostBefore > 0) at = putOption(into, view, at, EPB_DROPCOUNT, longWord(lostBefore));
  view.setUint32(at, OPT_END, true);
  view.setUint32(at + 4, total, true);
  return at + 8;
}

/** Of the same few comments all the time. */
const comments = new Map<string, Uint8Array>();
const MAX_COMMENTS = 256;

function commentBytes(comment: string): Uint8Array {
  const known = comments.get(comment);
  if (known !== undefined) return known;
  if (comments.size >= MAX_COMMENTS) comments.clear();
  const bytes = text(comment);
  comments.set(comment, bytes);
  return bytes;
}

export interface CaptureTotals {
  /** Milliseconds since 1970. */
  readonly start: number;
  readonly end: number;
  /** Packets that were meant. */
  readonly received: number;
  /** Of these, for which there was no room. */
  readonly lost: number;
  /** Packets in the file. */
  readonly written: number;
}

/** The end of a file. */
export function pcapngStatistics({
  start,
  end,
  received,
  lost,
  written,
}: CaptureTotals): Uint8Array {
  const body = new Uint8Array(12);
  setTime(new DataView(body.buffer), 4, end);
  return block(INTERFACE_STATISTICS, body, [
    [ISB_STARTTIME, timestamp(start)],
    [ISB_ENDTIME, timestamp(end)],
    [ISB_IFRECV, longWord(received)],
    [ISB_IFDROP, longWord(lost)],
    [ISB_USRDELIV, longWord(written)],
  ]);
}

/** Type and length before, length behind; options end in one of length 0. */
function block(type: number, body: Uint8Array, options: readonly PcapngOption[]): Uint8Array {
  const optionsLength = options.reduce((sum, [, value]) => sum + 4 + padded(value.length), 4);
  const total = 12 + body.length + optionsLength;
  const bytes = new Uint8Array(total);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, type, true);
  view.setUint32(4, total, true);
  bytes.set(body, 8);
  let at = 8 + body.length;
  for (const [code, value] of options) at = putOption(bytes, view, at, code, value);
  view.setUint32(at, OPT_END, true);
  view.setUint32(total - 4, total, true);
  return bytes;
}

/** Returns where the next one begins. */
function putOption(
  into: Uint8Array,
  view: DataView,
  at: number,
  code: number,
  value: Uint8Array,
): number {
  view.setUint16(at, code, true);
  view.setUint16(at + 2, value.length, true);
  into.set(value, at + 4);
  return at + 4 + padded(value.length);
}

/** Upper word first, whatever the byte order. */
function setTime(view: DataView, at: number, time: number): void {
  const nanoseconds = toNanoseconds(time);
  view.setUint32(at, Number(nanoseconds >> 32n), true);
  view.setUint32(at + 4, Number(nanoseconds & 0xffff_ffffn), true);
}

function timestamp(time: number): Uint8Array {
  const bytes = new Uint8Array(8);
  setTime(new DataView(bytes.buffer), 0, time);
  return bytes;
}

/** A double holds a time in milliseconds to a quarter of a microsecond. */
function toNanoseconds(time: number): bigint {
  const whole = Math.floor(time);
  return BigInt(whole) * 1_000_000n + BigInt(Math.round((time - whole) * 1e6));
}

function longWord(value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value), true);
  return bytes;
}

function text(value: string): Uint8Array {
  return encoder.encode(value).subarray(0, MAX_OPTION);
}

function padded(length: number): number {
  return (length + 3) & ~3;
}

function concatenate(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
