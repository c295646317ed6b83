/**
 * The answer to a packet that is too long: ICMP "fragmentation needed" (RFC 1191 § 4) or ICMPv6 "packet
 * too big" (RFC 4443 § 3.2). It comes from the packet's destination: an address that is reached where
 * the answer comes from, so that reverse-path filters and connection tracking let it through.
 */
import { foldSum, readU16, sumWords, writeIpv4Checksum, writeU16 } from './checksum.ts';
import { IPV4_HEADER_SIZE, IPV6_HEADER_SIZE, packetVersion } from './packet.ts';

const ICMP = 1;
const ICMPV6 = 58;
const FRAGMENT = 44;
const ICMP_HEADER_SIZE = 8;
const HOP_LIMIT = 64;
/** As much of the packet as fits into what every link carries (RFC 1812 § 4.3.2.3, RFC 4443 § 2.4). */
const MOST_IPV4 = 576;
/** IPv6's least MTU: no host may be told a smaller one (RFC 8200 § 5). */
export const IPV6_MIN_MTU = 1_280;
export const MOST_TOO_BIG_SIZE = IPV6_MIN_MTU;

/**
 * Writes the answer to the packet of `length` bytes at `offset` into `out`; its size, 0 if the packet is
 * one that must not be answered (RFC 1122 § 3.2.2, RFC 4443 § 2.4).
 */
export function encodePacketTooBig(
  bytes: Uint8Array,
  offset: number,
  length: number,
  mtu: number,
  out: Uint8Array,
): number {
  const is4 = packetVersion(bytes, offset) === 4;
  if (!(is4 ? mayAnswer4(bytes, offset) : mayAnswer6(bytes, offset))) return 0;
  const headers = (is4 ? IPV4_HEADER_SIZE : IPV6_HEADER_SIZE) + ICMP_HEADER_SIZE;
  const size = Math.min(headers + length, is4 ? MOST_IPV4 : IPV6_MIN_MTU);
  out.fill(0, 0, headers);
  out.set(bytes.subarray(offset, offset + size - headers), headers);
  if (is4) encode4(bytes, offset, mtu, out, size);
  else encode6(bytes, offset, mtu, out, size);
  return size;
}

function mayAnswer4(bytes: Uint8Array, offset: number): boolean {
  const laterFragment = (readU16(bytes, offset + 6) & 0x1fff) !== 0;
  const isError = bytes[offset + 9] === ICMP && !isEcho4(bytes[offset + IPV4_HEADER_SIZE]!);
  return !laterFragment && !isError && bytes[offset + 16]! < 224;
}

/** The headers around what is quoted in the `size` bytes of the answer. */
function encode4(
  bytes: Uint8Array,
  offset: number,
  mtu: number,
  out: Uint8Array,
  size: number,
): void {
  out[0] = 0x45;
  writeU16(out, 2, size);
  out[8] = HOP_LIMIT;
  out[9] = ICMP;
  out.set(bytes.subarray(offset + 16, offset + 20), 12);
  out.set(bytes.subarray(offset + 12, offset + 16), 16);
  writeIpv4Checksum(out, 0);
  out[20] = 3; // destination unreachable
  out[21] = 4; // fragmentation needed
  writeU16(out, 26, mtu);
  writeU16(out, 22, foldSum(sumWords(out, IPV4_HEADER_SIZE, size - IPV4_HEADER_SIZE)));
}

/** Echo, timestamp: what is no answer to anything gone wrong. */
function isEcho4(type: number): boolean {
  return type === 0 || type === 8 || type === 13 || type === 14;
}

function mayAnswer6(bytes: Uint8Array, offset: number): boolean {
  const next = bytes[offset + 6]!;
  const isError = next === ICMPV6 && bytes[offset + IPV6_HEADER_SIZE]! < 128;
  const laterFragment =
    next === FRAGMENT && (readU16(bytes, offset + IPV6_HEADER_SIZE + 2) & 0xfff8) !== 0;
  return !isError && !laterFragment;
}

function encode6(
  bytes: Uint8Array,
  offset: number,
  mtu: number,
  out: Uint8Array,
  size: number,
): void {
  const payload = size - IPV6_HEADER_SIZE;
  out[0] = 0x60;
  writeU16(out, 4, payload);
  out[6] = ICMPV6;
  out[7] = HOP_LIMIT;
  out.set(bytes.subarray(offset + 24, offset + 40), 8);
  out.set(bytes.subarray(offset + 8, offset + 24), 24);
  out[IPV6_HEADER_SIZE] = 2; // packet too big
  writeU16(out, IPV6_HEADER_SIZE + 6, Math.max(mtu, IPV6_MIN_MTU));
  // Pseudo-header: both addresses, the length, the protocol.
  const pseudo = sumWords(out, 8, 32) + payload + ICMPV6;
  writeU16(out, IPV6_HEADER_SIZE + 2, foldSum(sumWords(out, IPV6_HEADER_SIZE, payload, pseudo)));
}
