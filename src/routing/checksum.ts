/** The Internet checksum (RFC 1071), for the few packets that are made or changed one by one. */

/** Sum of the 16-bit words of `length` bytes, not folded; an odd last byte is padded with 0. */
export function sumWords(bytes: Uint8Array, offset: number, length: number, sum = 0): number {
  let total = sum;
  const even = offset + (length & ~1);
  for (let i = offset; i < even; i += 2) total += (bytes[i]! << 8) | bytes[i + 1]!;
  if ((length & 1) !== 0) total += bytes[even]! << 8;
  return total;
}

/** The checksum of a sum: folded to 16 bits and complemented. */
export function foldSum(sum: number): number {
  let folded = sum;
  while (folded > 0xffff) folded = (folded & 0xffff) + Math.floor(folded / 0x10000);
  return ~folded & 0xffff;
}

/** Writes the checksum of the IPv4 header of 20 bytes at `offset`. */
export function writeIpv4Checksum(bytes: Uint8Array, offset: number): void {
  bytes[offset + 10] = 0;
  bytes[offset + 11] = 0;
  writeU16(bytes, offset + 10, foldSum(sumWords(bytes, offset, 20)));
}

export function readU16(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!;
}

export function writeU16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8;
  bytes[at + 1] = value;
}
