/**
 * Reading an IP header where it lies (RFC 791 § 3.1, RFC 8200 § 3): what the data plane asks of each
 * packet, without allocating. The buffer is borrowed until the call returns.
 */

export const IPV4_HEADER_SIZE = 20;
export const IPV6_HEADER_SIZE = 40;

/** Byte offsets of the addresses in the header. */
export const IPV4_SOURCE = 12;
export const IPV4_DESTINATION = 16;
export const IPV6_SOURCE = 8;
export const IPV6_DESTINATION = 24;

/** Result of `checkPacket`: no IPv4 or IPv6 packet of the length it claims. */
export const PACKET_MALFORMED = -1;
/** Result of `checkPacket`: an IPv4 packet, whole, with options in its header. */
export const PACKET_OPTIONS = -2;

/**
 * Checks the IP packet in the `length` bytes at `offset` and returns its own length in bytes, header
 * included (≥ 20, ≤ length: what is behind it is padding), or PACKET_MALFORMED or PACKET_OPTIONS.
 *
 * Checked: version; IPv4: header length and total length; IPv6: payload length. Not checked: the
 * IPv4 header checksum (its last hop is the far kernel, as with any tunnel) and anything above IP.
 * Bytes outside the buffer count as malformed.
 */
export function checkPacket(bytes: Uint8Array, offset: number, length: number): number {
  if (length < IPV4_HEADER_SIZE || offset < 0 || offset + length > bytes.length) {
    return PACKET_MALFORMED;
  }
  const first = bytes[offset]!;
  if (first === 0x45) {
    const total = (bytes[offset + 2]! << 8) | bytes[offset + 3]!;
    return total >= IPV4_HEADER_SIZE && total <= length ? total : PACKET_MALFORMED;
  }
  const version = first >>> 4;
  if (version === 6) {
    const total = IPV6_HEADER_SIZE + ((bytes[offset + 4]! << 8) | bytes[offset + 5]!);
    return total <= length ? total : PACKET_MALFORMED;
  }
  if (version !== 4) return PACKET_MALFORMED;
  const header = (first & 15) * 4;
  const total = (bytes[offset + 2]! << 8) | bytes[offset + 3]!;
  return header > IPV4_HEADER_SIZE && total >= header && total <= length
    ? PACKET_OPTIONS
    : PACKET_MALFORMED;
}

/** Version field of the packet at `offset`: 4 or 6 once `checkPacket` has accepted it. */
export function packetVersion(bytes: Uint8Array, offset: number): number {
  return bytes[offset]! >>> 4;
}

/** Whether the packet at `offset` is for a group (224.0.0.0/4, ff00::/8) or for 255.255.255.255. */
export function isMulticast(bytes: Uint8Array, offset: number): boolean {
  if (packetVersion(bytes, offset) === 6) return bytes[offset + IPV6_DESTINATION] === 0xff;
  const first = bytes[offset + IPV4_DESTINATION]!;
  return first >>> 4 === 0xe || (first === 0xff && ipv4Destination(bytes, offset) === 0xffff_ffff);
}

/** The four bytes at `offset` as an unsigned number, network order. */
export function readIpv4(bytes: Uint8Array, offset: number): number {
  return (
    ((bytes[offset]! << 24) |
      (bytes[offset + 1]! << 16) |
      (bytes[offset + 2]! << 8) |
      bytes[offset + 3]!) >>>
    0
  );
}

/** Source of the IPv4 packet at `offset`, as an unsigned number. */
export function ipv4Source(bytes: Uint8Array, offset: number): number {
  return readIpv4(bytes, offset + IPV4_SOURCE);
}

/** Destination of the IPv4 packet at `offset`, as an unsigned number. */
export function ipv4Destination(bytes: Uint8Array, offset: number): number {
  return readIpv4(bytes, offset + IPV4_DESTINATION);
}

/** DS field and ECN of the packet at `offset` (IPv4: RFC 2474 § 3; IPv6: traffic class), 0 to 255. */
export function packetTrafficClass(bytes: Uint8Array, offset: number): number {
  if (bytes[offset]! >>> 4 === 4) return bytes[offset + 1]!;
  return ((bytes[offset]! & 15) << 4) | (bytes[offset + 1]! >>> 4);
}
