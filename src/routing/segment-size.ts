/**
 * Clamps the maximum segment size that a TCP SYN announces (RFC 9293 § 3.7.1), as the kernel's own rule
 * does; for packets that leave before the kernel can know how much the path carries.
 */
import { foldSum, readU16, writeU16 } from './checksum.ts';
import { IPV4_HEADER_SIZE, IPV6_HEADER_SIZE, packetVersion } from './packet.ts';

const TCP = 6;
const TCP_HEADER_SIZE = 20;
const SYN = 0x02;
const OPTION_END = 0;
const OPTION_NOTHING = 1;
const OPTION_SEGMENT_SIZE = 2;

/** Whether the packet of `length` bytes at `offset` is a TCP SYN. */
export function announcesSegmentSize(bytes: Uint8Array, offset: number, length: number): boolean {
  const v4 = packetVersion(bytes, offset) === 4;
  const header = v4 ? IPV4_HEADER_SIZE : IPV6_HEADER_SIZE;
  return (
    bytes[offset + (v4 ? 9 : 6)] === TCP &&
    (!v4 || (readU16(bytes, offset + 6) & 0x1fff) === 0) &&
    header + TCP_HEADER_SIZE <= length &&
    (bytes[offset + header + 13]! & SYN) !== 0
  );
}

/** Whether the packet of `length` bytes at `offset` was a SYN with a larger one than fits the MTU. */
export function clampSegmentSize(
  bytes: Uint8Array,
  offset: number,
  length: number,
  mtu: number,
): boolean {
  if (!announcesSegmentSize(bytes, offset, length)) return false;
  const header = packetVersion(bytes, offset) === 4 ? IPV4_HEADER_SIZE : IPV6_HEADER_SIZE;
  const tcp = offset + header;
  const end = offset + length;
  const most = mtu - header - TCP_HEADER_SIZE;
  const optionsEnd = Math.min(tcp + (bytes[tcp + 12]! >>> 4) * 4, end);
  for (let at = tcp + TCP_HEADER_SIZE; at + 1 < optionsEnd; ) {
    const kind = bytes[at]!;
    if (kind === OPTION_END) return false;
    if (kind === OPTION_NOTHING) {
      at++;
      continue;
    }
    const size = bytes[at + 1]!;
    if (size < 2) return false;
    if (kind === OPTION_SEGMENT_SIZE && size === 4 && at + 4 <= optionsEnd) {
      const before = readU16(bytes, at + 2);
      if (before <= most) return false;
      writeU16(bytes, at + 2, most);
      updateChecksum(bytes, tcp + 16, at + 2 - tcp, before, most);
      return true;
    }
    at += size;
  }
  return false;
}

/** RFC 1624, equation 3: the sum of a change of 16 bits, which may lie across two words. */
function updateChecksum(
  bytes: Uint8Array,
  at: number,
  place: number,
  before: number,
  after: number,
): void {
  const swap = (word: number): number => ((word & 0xff) << 8) | (word >>> 8);
  const [old, now] = place % 2 === 0 ? [before, after] : [swap(before), swap(after)];
  const sum = (~readU16(bytes, at) & 0xffff) + (~old & 0xffff) + now;
  writeU16(bytes, at, foldSum(sum));
}
