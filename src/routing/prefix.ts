/**
 * CIDR prefixes (RFC 4632 § 3.1, RFC 4291 § 2.3): `10.0.0.0/8`, `2001:db8::/32`. An address without
 * a length is the prefix of that one host.
 */
import { type Address, type Family, formatAddress, parseAddress } from './address.ts';

export interface Prefix extends Address {
  readonly family: Family;
  /** 4 or 16 bytes, network order, host bits zero. */
  readonly address: Uint8Array;
  /** 0 to 32, or 0 to 128. */
  readonly length: number;
}

/** An address and the length of the network it lives in, host bits kept: `192.168.1.7/24`. */
export interface InterfaceAddress extends Address {
  readonly length: number;
}

/** Longest prefix of a family, in bits. */
export function maxPrefixLength(family: Family): 32 | 128 {
  return family === 4 ? 32 : 128;
}

/** Zeroes everything behind the first `length` bits, in place. */
export function clearHostBits(address: Uint8Array, length: number): void {
  const whole = length >>> 3;
  if (whole >= address.length) return;
  address[whole] = address[whole]! & (0xff00 >> (length & 7));
  address.fill(0, whole + 1);
}

/** Whether anything behind the first `length` bits is not zero. */
export function hasHostBits(address: Uint8Array, length: number): boolean {
  const copy = address.slice();
  clearHostBits(copy, length);
  return copy.some((byte, i) => byte !== address[i]);
}

/**
 * `ADDRESS[/LENGTH]` with the host bits as they were written; without a length it is that of a
 * host. Undefined if the text is neither. The length is decimal without leading zeros.
 */
export function parseInterfaceAddress(text: string): InterfaceAddress | undefined {
  const slash = text.indexOf('/');
  const parsed = parseAddress(slash < 0 ? text : text.slice(0, slash));
  if (!parsed) return undefined;
  const longest = maxPrefixLength(parsed.family);
  if (slash < 0) return { ...parsed, length: longest };
  const digits = text.slice(slash + 1);
  if (!/^(0|[1-9][0-9]{0,2})$/.test(digits)) return undefined;
  const length = Number(digits);
  return length <= longest ? { ...parsed, length } : undefined;
}

/** `ADDRESS[/LENGTH]`; host bits are cleared, as wg does it. Undefined if the text is no prefix. */
export function parsePrefix(text: string): Prefix | undefined {
  const parsed = parseInterfaceAddress(text);
  if (parsed) clearHostBits(parsed.address, parsed.length);
  return parsed;
}

export interface StrictPrefix {
  /** With host bits cleared: what was probably meant. */
  readonly prefix: Prefix;
  /** Whether the text had host bits set: `10.1.2.3/8`. */
  readonly hostBits: boolean;
}

/** As `parsePrefix`, for who wants to refuse, or to warn of, `10.1.2.3/8`. */
export function parsePrefixStrict(text: string): StrictPrefix | undefined {
  const parsed = parseInterfaceAddress(text);
  if (!parsed) return undefined;
  const hostBits = hasHostBits(parsed.address, parsed.length);
  clearHostBits(parsed.address, parsed.length);
  return { prefix: parsed, hostBits };
}

/**
 * The prefix that `address` (4 or 16 bytes, copied) has in its first `length` bits. A RangeError for
 * any other size or length.
 */
export function prefixOf(address: Uint8Array, length: number): Prefix {
  const family: Family = address.length === 4 ? 4 : 6;
  if (family === 6 && address.length !== 16) {
    throw new RangeError(`an address is 4 or 16 bytes long, this one is ${address.length}`);
  }
  if (!Number.isInteger(length) || length < 0 || length > maxPrefixLength(family)) {
    throw new RangeError(`no prefix of IPv${family} has length ${length}`);
  }
  const copy = address.slice();
  clearHostBits(copy, length);
  return { family, address: copy, length };
}

/** `ADDRESS/LENGTH`, also for a host. */
export function formatPrefix(prefix: InterfaceAddress): string {
  return `${formatAddress(prefix.address)}/${prefix.length}`;
}

export function equalPrefixes(a: Prefix, b: Prefix): boolean {
  return a.length === b.length && containsPrefix(a, b);
}

/** Whether the first `length` bits of both are the same. */
function sharesBits(a: Uint8Array, b: Uint8Array, length: number): boolean {
  const whole = length >>> 3;
  for (let i = 0; i < whole; i++) {
    if (a[i] !== b[i]) return false;
  }
  const rest = length & 7;
  return rest === 0 || ((a[whole]! ^ b[whole]!) & (0xff00 >> rest) & 0xff) === 0;
}

/** Whether the address, of either family, lies in the prefix. */
export function containsAddress(prefix: Prefix, address: Uint8Array): boolean {
  return (
    prefix.address.length === address.length && sharesBits(prefix.address, address, prefix.length)
  );
}

/** Whether `inner` is the same prefix or part of `outer`. */
export function containsPrefix(outer: Prefix, inner: Prefix): boolean {
  return outer.length <= inner.length && containsAddress(outer, inner.address);
}

/** Whether the two have an address in common: one contains the other. */
export function prefixesOverlap(a: Prefix, b: Prefix): boolean {
  return containsPrefix(a, b) || containsPrefix(b, a);
}

/** Order for lists: IPv4 first, then by address, then the shorter first. */
export function comparePrefixes(a: Prefix, b: Prefix): number {
  if (a.family !== b.family) return a.family - b.family;
  for (let i = 0; i < a.address.length; i++) {
    const difference = a.address[i]! - b.address[i]!;
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}
