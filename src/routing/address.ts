/**
 * IP addresses as text and as bytes in network order.
 *
 * IPv4: four decimal octets, nothing else: a leading zero is refused, because half of the world
 * reads it as octal (RFC 6943 § 3.1.1). IPv6: every text form of RFC 4291 § 2.2; written in the
 * canonical form of RFC 5952. A zone id (RFC 4007 § 11) is no part of an address: `splitZone` first.
 */

export type Family = 4 | 6;

export const IPV4_SIZE = 4;
export const IPV6_SIZE = 16;

export interface Address {
  readonly family: Family;
  /** 4 or 16 bytes, network order. */
  readonly address: Uint8Array;
}

/** Longest text of an address: an IPv6 address with IPv4 at its end, uncompressed. */
const LONGEST_TEXT = 45;

const ZERO = 0x30;
const DOT = 0x2e;
const COLON = 0x3a;
const GROUPS = 8;

/**
 * Reads dotted decimal from `text[start..]` to its end into `out[at..at+4]`.
 * What has been written when it returns false is undefined.
 */
function readIpv4(text: string, start: number, out: Uint8Array, at: number): boolean {
  let octet = -1;
  let octets = 0;
  for (let i = start; i <= text.length; i++) {
    const code = i < text.length ? text.charCodeAt(i) : DOT;
    if (code === DOT) {
      if (octet < 0 || octets === 4) return false;
      out[at + octets++] = octet;
      octet = -1;
      continue;
    }
    const digit = code - ZERO;
    if (digit < 0 || digit > 9 || octet === 0) return false;
    octet = octet < 0 ? digit : octet * 10 + digit;
    if (octet > 255) return false;
  }
  return octets === 4;
}

function hexDigit(code: number): number {
  if (code >= ZERO && code <= 0x39) return code - ZERO;
  const letter = code | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}

/** Four bytes in network order, or undefined if the text is no IPv4 address. */
export function parseIpv4(text: string): Uint8Array | undefined {
  const out = new Uint8Array(IPV4_SIZE);
  return text.length <= LONGEST_TEXT && readIpv4(text, 0, out, 0) ? out : undefined;
}

/**
 * Sixteen bytes in network order, or undefined if the text is no IPv6 address (RFC 4291 § 2.2:
 * eight groups of one to four digits; one `::` for one or more groups of zeros; the last two groups
 * may be an IPv4 address). A zone id makes it no address.
 */
export function parseIpv6(text: string): Uint8Array | undefined {
  const end = text.length;
  if (end > LONGEST_TEXT) return undefined;
  const out = new Uint8Array(IPV6_SIZE);
  let groups = 0;
  let gap = -1;
  let i = 0;
  if (text.startsWith('::')) {
    gap = 0;
    i = 2;
  }
  // Invariant: at `i` a group begins, or the text ends right behind `::`.
  while (i < end) {
    if (groups === GROUPS) return undefined;
    const start = i;
    let value = 0;
    for (; i < end; i++) {
      const digit = hexDigit(text.charCodeAt(i));
      if (digit < 0) break;
      value = (value << 4) | digit;
      if (i - start === 4) return undefined;
    }
    if (i < end && text.charCodeAt(i) === DOT) {
      if (groups > GROUPS - 2 || !readIpv4(text, start, out, groups * 2)) return undefined;
      groups += 2;
      break;
    }
    if (i === start) return undefined;
    out[groups * 2] = value >>> 8;
    out[groups * 2 + 1] = value;
    groups++;
    if (i === end) break;
    if (text.charCodeAt(i) !== COLON || ++i === end) return undefined;
    if (text.charCodeAt(i) === COLON) {
      if (gap >= 0) return undefined;
      gap = groups;
      i++;
    }
  }
  if (gap < 0) return groups === GROUPS ? out : undefined;
  if (groups === GROUPS) return undefined;
  out.copyWithin(IPV6_SIZE - (groups - gap) * 2, gap * 2, groups * 2);
  out.fill(0, gap * 2, IPV6_SIZE - (groups - gap) * 2);
  return out;
}

/** An address of either family, or undefined if the text is none. */
export function parseAddress(text: string): Address | undefined {
  const family: Family = text.includes(':') ? 6 : 4;
  const address = family === 6 ? parseIpv6(text) : parseIpv4(text);
  return address && { family, address };
}

/**
 * Cuts a zone id off (RFC 4007 § 11): `fe80::1%eth0` is address `fe80::1`, zone `eth0`. The zone is
 * empty when there is none; undefined when `%` is there and nothing behind it. Neither part is
 * checked further.
 */
export function splitZone(text: string): { address: string; zone: string } | undefined {
  const at = text.indexOf('%');
  if (at < 0) return { address: text, zone: '' };
  if (at === text.length - 1) return undefined;
  return { address: text.slice(0, at), zone: text.slice(at + 1) };
}

/** Dotted decimal of the four bytes at `offset`. */
export function formatIpv4(bytes: Uint8Array, offset = 0): string {
  return `${bytes[offset]}.${bytes[offset + 1]}.${bytes[offset + 2]}.${bytes[offset + 3]}`;
}

/**
 * Canonical text of the sixteen bytes at `offset` (RFC 5952 § 4): lower case, no leading zeros, the
 * first longest run of two or more zero groups as `::`. IPv4-mapped addresses end in dotted decimal
 * (RFC 5952 § 5).
 */
export function formatIpv6(bytes: Uint8Array, offset = 0): string {
  const groups: number[] = [];
  for (let i = 0; i < GROUPS; i++) {
    groups.push((bytes[offset + i * 2]! << 8) | bytes[offset + i * 2 + 1]!);
  }
  if (groups[5] === 0xffff && groups.slice(0, 5).every((group) => group === 0)) {
    return `::ffff:${formatIpv4(bytes, offset + 12)}`;
  }
  let gap = -1;
  let gapLength = 1;
  for (let i = 0; i < GROUPS; ) {
    let next = i;
    while (next < GROUPS && groups[next] === 0) next++;
    if (next - i > gapLength) {
      gap = i;
      gapLength = next - i;
    }
    i = next + 1;
  }
  const hex = (some: number[]): string => some.map((group) => group.toString(16)).join(':');
  if (gap < 0) return hex(groups);
  return `${hex(groups.slice(0, gap))}::${hex(groups.slice(gap + gapLength))}`;
}

/** Text of an address: four bytes are IPv4, sixteen IPv6; any other length is a RangeError. */
export function formatAddress(address: Uint8Array): string {
  if (address.length === IPV4_SIZE) return formatIpv4(address);
  if (address.length === IPV6_SIZE) return formatIpv6(address);
  throw new RangeError(`an address is 4 or 16 bytes long, this one is ${address.length}`);
}
