/**
 * Messages of the kernel's connection tracking (nfnetlink_conntrack), bytes only: a connection that is
 * tracked, changed or forgotten, and the request for all of them. The descriptor is the addon's.
 *
 * Headers are in the byte order of the host, which is little-endian on both machines that we build for;
 * the values of attributes are in network order. Malformed input ends the decoding; what was found
 * before it was handed over. Nothing is allocated for a connection: it is read into one record.
 */
import type { Family } from '../routing/address.ts';

export const NETLINK_NETFILTER = 12;
/** Bits for the groups of a socket: NFNLGRP_CONNTRACK_NEW, _UPDATE, _DESTROY. */
export const CONNTRACK_GROUPS = { new: 1, update: 2, destroy: 4 } as const;
/** Bits of a connection's status (IPS_*). */
export const STATUS = { seenReply: 0x2, assured: 0x4, sourceNat: 0x10, targetNat: 0x20 } as const;
/** TCP_CONNTRACK_SYN_SENT: only the first segment was seen. */
export const TCP_SYN_SENT = 1;

const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const NLM_F_REQUEST = 0x1;
const NLM_F_DUMP_INTR = 0x10;
const NLM_F_DUMP = 0x300;
/** NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_* */
const CT_NEW = 0x100;
const CT_GET = 0x101;
const CT_DELETE = 0x102;

const HEADER_SIZE = 16;
const NFGENMSG_SIZE = 4;
const ATTRIBUTE_HEADER_SIZE = 4;
/** The two highest bits are flags (NLA_F_NESTED, NLA_F_NET_BYTEORDER). */
const TYPE_MASK = 0x3fff;

const CTA_TUPLE_ORIG = 1;
const CTA_TUPLE_REPLY = 2;
const CTA_STATUS = 3;
const CTA_PROTOINFO = 4;
const CTA_MARK = 8;
const CTA_COUNTERS_ORIG = 9;
const CTA_COUNTERS_REPLY = 10;
const CTA_ID = 12;
const CTA_ZONE = 18;
const CTA_TIMESTAMP = 20;

/** One direction of a connection: what its packets carry. */
export interface Tuple {
  /** 16 bytes, of which IPv4 uses the first four. */
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  /** 0 for protocols without ports. */
  sourcePort: number;
  destinationPort: number;
}

/** A connection as a message tells it; overwritten by the next. */
export interface ConntrackRecord {
  /** It is forgotten: these are its last figures. */
  destroyed: boolean;
  family: Family;
  /** IPPROTO_* */
  protocol: number;
  /** As the first packet was, before any translation. */
  readonly original: Tuple;
  /** As answers are, before translation: its source is who answers. */
  readonly reply: Tuple;
  /** -1 unless it is ICMP or ICMPv6. */
  icmpType: number;
  icmpCode: number;
  icmpId: number;
  status: number;
  /** TCP_CONNTRACK_*, 0 = not TCP, or not said. */
  tcpState: number;
  mark: number;
  zone: number;
  /** The kernel's hash for it; two connections may have the same. */
  id: number;
  /** Whether bytes and packets are counted: nf_conntrack_acct was on when it began. */
  counted: boolean;
  packetsOut: number;
  bytesOut: number;
  /** Of the answers. */
  packetsBack: number;
  bytesBack: number;
  /** ms since the Unix epoch; 0 = not known, nf_conntrack_timestamp was off when it began. */
  start: number;
  /** 0 = it goes on, or not known. */
  stop: number;
}

export interface ConntrackReader {
  /** The record is borrowed until return. */
  onConnection(record: ConntrackRecord): void;
  /** The answer to a request for all is complete; `consistent`: nothing changed meanwhile. */
  onDone(consistent: boolean): void;
  /** A request was refused (positive errno), or only acknowledged (0). */
  onError(errno: number): void;
}

/**
 * A number for a connection as long as the kernel has it. The kernel's hash alone is the same for two of
 * some ten thousand.
 */
export function connectionKey({ id, original }: ConntrackRecord): number {
  return id * 0x1_0000 + (original.sourcePort ^ original.destinationPort);
}

function emptyTuple(): Tuple {
  return {
    source: new Uint8Array(16),
    destination: new Uint8Array(16),
    sourcePort: 0,
    destinationPort: 0,
  };
}

export function createConntrackRecord(): ConntrackRecord {
  return { ...BLANK, original: emptyTuple(), reply: emptyTuple() };
}

const BLANK = {
  destroyed: false,
  family: 4 as Family,
  protocol: 0,
  icmpType: -1,
  icmpCode: -1,
  icmpId: 0,
  status: 0,
  tcpState: 0,
  mark: 0,
  zone: 0,
  id: 0,
  counted: false,
  packetsOut: 0,
  bytesOut: 0,
  packetsBack: 0,
  bytesBack: 0,
  start: 0,
  stop: 0,
};

/** IPCTNL_MSG_CT_GET for every connection of both families. */
export function encodeConntrackDump(sequence: number): Uint8Array {
  const bytes = new Uint8Array(HEADER_SIZE + NFGENMSG_SIZE);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, bytes.length, true);
  view.setUint16(4, CT_GET, true);
  view.setUint16(6, NLM_F_REQUEST | NLM_F_DUMP, true);
  view.setUint32(8, sequence, true);
  return bytes;
}

/** Reads messages into one record, which it hands over for each. */
export class ConntrackDecoder {
  readonly #record = createConntrackRecord();
  #bytes!: Uint8Array;
  #view!: DataView;
  #consistent = true;

  /** Hands over what the first `length` bytes say; unknown messages and attributes are passed over. */
  decode(bytes: Uint8Array, length: number, reader: ConntrackReader): void {
    const end = Math.min(length, bytes.length);
    if (this.#bytes !== bytes) {
      this.#bytes = bytes;
      this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    }
    const view = this.#view;
    let at = 0;
    while (at + HEADER_SIZE <= end) {
      const size = view.getUint32(at, true);
      if (size < HEADER_SIZE || size > end - at) return;
      const type = view.getUint16(at + 4, true);
      if ((view.getUint16(at + 6, true) & NLM_F_DUMP_INTR) !== 0) this.#consistent = false;
      const body = at + HEADER_SIZE;
      if (type === CT_NEW || type === CT_DELETE) {
        const whole = this.#connection(body, at + size, type === CT_DELETE);
        if (whole) reader.onConnection(this.#record);
      } else if (type === NLMSG_DONE) {
        reader.onDone(this.#consistent);
        this.#consistent = true;
      } else if (type === NLMSG_ERROR && size >= HEADER_SIZE + 4) {
        reader.onError(Math.abs(view.getInt32(body, true)));
      }
      at += align(size);
    }
  }

  /** Whether there is a whole connection: of a family that we know, with both tuples. */
  #connection(start: number, end: number, destroyed: boolean): boolean {
    if (end - start < NFGENMSG_SIZE) return false;
    const family = this.#view.getUint8(start);
    if (family !== 2 && family !== 10) return false;
    const record = this.#record;
    clear(record);
    record.destroyed = destroyed;
    record.family = family === 2 ? 4 : 6;
    let tuples = 0;
    let at = start + NFGENMSG_SIZE;
    while (at + ATTRIBUTE_HEADER_SIZE <= end) {
      const size = this.#view.getUint16(at, true);
      if (size < ATTRIBUTE_HEADER_SIZE || size > end - at) break;
      const type = this.#view.getUint16(at + 2, true) & TYPE_MASK;
      const value = at + ATTRIBUTE_HEADER_SIZE;
      if (type === CTA_TUPLE_ORIG) {
        if (this.#tuple(value, at + size, record.original, true)) tuples |= 1;
      } else if (type === CTA_TUPLE_REPLY) {
        if (this.#tuple(value, at + size, record.reply, false)) tuples |= 2;
      } else {
        this.#attribute(type, value, at + size);
      }
      at += align(size);
    }
    return tuples === 3;
  }

  #attribute(type: number, at: number, end: number): void {
    const record = this.#record;
    switch (type) {
      case CTA_STATUS:
        record.status = this.#number(at, end);
        break;
      case CTA_MARK:
        record.mark = this.#number(at, end);
        break;
      case CTA_ID:
        record.id = this.#number(at, end);
        break;
      case CTA_ZONE:
        record.zone = this.#number(at, end);
        break;
      case CTA_PROTOINFO: {
        // CTA_PROTOINFO_TCP, and in it CTA_PROTOINFO_TCP_STATE
        const tcp = this.#find(at, end, 1);
        if (tcp > 0) record.tcpState = this.#number(this.#find(tcp, this.#endOf(tcp), 1), -1);
        break;
      }
      case CTA_COUNTERS_ORIG:
        record.counted = true;
        record.packetsOut = this.#number(this.#find(at, end, 1), -1);
        record.bytesOut = this.#number(this.#find(at, end, 2), -1);
        break;
      case CTA_COUNTERS_REPLY:
        record.packetsBack = this.#number(this.#find(at, end, 1), -1);
        record.bytesBack = this.#number(this.#find(at, end, 2), -1);
        break;
      case CTA_TIMESTAMP:
        record.start = milliseconds(this.#number(this.#find(at, end, 1), -1));
        record.stop = milliseconds(this.#number(this.#find(at, end, 2), -1));
        break;
    }
  }

  /** CTA_TUPLE_IP and CTA_TUPLE_PROTO; whether both addresses were there. */
  #tuple(start: number, end: number, tuple: Tuple, first: boolean): boolean {
    const record = this.#record;
    const ip = this.#find(start, end, 1);
    const proto = this.#find(start, end, 2);
    if (ip < 0 || proto < 0) return false;
    const ipEnd = this.#endOf(ip);
    // CTA_IP_V4_SRC, CTA_IP_V4_DST, and the same of IPv6
    const source = this.#find(ip, ipEnd, record.family === 4 ? 1 : 3);
    const destination = this.#find(ip, ipEnd, record.family === 4 ? 2 : 4);
    if (!this.#address(source, tuple.source)) return false;
    if (!this.#address(destination, tuple.destination)) return false;
    const protoEnd = this.#endOf(proto);
    tuple.sourcePort = this.#number(this.#find(proto, protoEnd, 2), -1);
    tuple.destinationPort = this.#number(this.#find(proto, protoEnd, 3), -1);
    if (!first) return true;
    record.protocol = this.#number(this.#find(proto, protoEnd, 1), -1);
    // CTA_PROTO_ICMP_ID, _TYPE, _CODE, and three further on those of ICMPv6
    const icmp = record.family === 4 ? 4 : 7;
    const type = this.#find(proto, protoEnd, icmp + 1);
    if (type < 0) return true;
    record.icmpId = this.#number(this.#find(proto, protoEnd, icmp), -1);
    record.icmpType = this.#number(type, -1);
    record.icmpCode = this.#number(this.#find(proto, protoEnd, icmp + 2), -1);
    return true;
  }

  #address(at: number, into: Uint8Array): boolean {
    const size = this.#record.family === 4 ? 4 : 16;
    if (at < 0 || this.#endOf(at) - at !== size) return false;
    for (let i = 0; i < size; i++) into[i] = this.#bytes[at + i]!;
    return true;
  }

  /** Where the value of an attribute begins; -1 = there is none. */
  #find(start: number, end: number, wanted: number): number {
    let at = start;
    while (at + ATTRIBUTE_HEADER_SIZE <= end) {
      const size = this.#view.getUint16(at, true);
      if (size < ATTRIBUTE_HEADER_SIZE || size > end - at) return -1;
      if ((this.#view.getUint16(at + 2, true) & TYPE_MASK) === wanted) {
        return at + ATTRIBUTE_HEADER_SIZE;
      }
      at += align(size);
    }
    return -1;
  }

  /** Of a value that `#find` found: its attribute's own length says it. */
  #endOf(value: number): number {
    return (
      value - ATTRIBUTE_HEADER_SIZE + this.#view.getUint16(value - ATTRIBUTE_HEADER_SIZE, true)
    );
  }

  /** 1, 2, 4 or 8 bytes in network order; 0 if there is no value, or one of another size. */
  #number(at: number, end: number): number {
    if (at < 0) return 0;
    const view = this.#view;
    switch ((end < 0 ? this.#endOf(at) : end) - at) {
      case 1:
        return view.getUint8(at);
      case 2:
        return view.getUint16(at);
      case 4:
        return view.getUint32(at);
      case 8:
        return view.getUint32(at) * 0x1_0000_0000 + view.getUint32(at + 4);
      default:
        return 0;
    }
  }
}

function clear(record: ConntrackRecord): void {
  record.icmpType = -1;
  record.icmpCode = -1;
  record.icmpId = 0;
  record.status = 0;
  record.tcpState = 0;
  record.mark = 0;
  record.zone = 0;
  record.id = 0;
  record.counted = false;
  record.packetsOut = 0;
  record.bytesOut = 0;
  record.packetsBack = 0;
  record.bytesBack = 0;
  record.start = 0;
  record.stop = 0;
}

function milliseconds(nanoseconds: number): number {
  return Math.floor(nanoseconds / 1e6);
}

/** NLMSG_ALIGN and NLA_ALIGN: both round up to four. */
function align(size: number): number {
  return (size + 3) & ~3;
}
