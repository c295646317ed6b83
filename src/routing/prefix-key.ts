/**
 * Prefixes as keys of maps, both families in one: a number for IPv4 (address * 64 + length), for IPv6
 * seventeen characters, one per byte, address then length. A flat one-byte string is hashed once.
 */
import type { Prefix } from './prefix.ts';

export type PrefixKey = number | string;

export function prefixKey({ address, length }: Prefix): PrefixKey {
  return prefixKeyAt(address, length);
}

/** Key of the prefix that the first `length` bits of an address are: host bits count as zero. */
export function prefixKeyAt(address: Uint8Array, length: number): PrefixKey {
  if (address.length === 4) {
    const word =
      ((address[0]! << 24) | (address[1]! << 16) | (address[2]! << 8) | address[3]!) >>> 0;
    const mask = length === 0 ? 0 : (0xffff_ffff << (32 - length)) >>> 0;
    return ((word & mask) >>> 0) * 64 + length;
  }
  const whole = length >>> 3;
  characters.set(address);
  if (whole < 16) {
    characters[whole] = address[whole]! & (0xff00 >> (length & 7));
    characters.fill(0, whole + 1, 16);
  }
  characters[16] = length;
  return String.fromCharCode.apply(null, characters as unknown as number[]);
}

/** Borrowed by one call of `prefixKeyAt`. */
const characters = new Uint8Array(17);
