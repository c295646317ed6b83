/**
 * Sets of addresses of both families, as sorted ranges that neither overlap nor touch. What a policy
 * says of connectors and prefixes becomes one of these, so that "is this rule covered by that one" and
 * "is there an address in both" have exact answers.
 */
import { parseAddress } from '../../routing/address.ts';
import { maxPrefixLength, type Prefix, parsePrefix } from '../../routing/prefix.ts';

export type Family = 4 | 6;
export const FAMILIES: readonly Family[] = [4, 6];

/** Both ends belong to it. */
export interface AddressRange {
  readonly first: bigint;
  readonly last: bigint;
}

export type AddressSet = Readonly<Record<Family, readonly AddressRange[]>>;

export const NO_ADDRESSES: AddressSet = { 4: [], 6: [] };
export const ALL_ADDRESSES: AddressSet = {
  4: [{ first: 0n, last: 2n ** 32n - 1n }],
  6: [{ first: 0n, last: 2n ** 128n - 1n }],
};

/** One address as a number. */
export interface NumericAddress {
  readonly family: Family;
  readonly value: bigint;
}

/** Undefined for what is no address. */
export function numericAddress(text: string): NumericAddress | undefined {
  const parsed = parseAddress(text);
  return parsed && { family: parsed.family, value: numberOf(parsed.address) };
}

export function numberOf(address: Uint8Array): bigint {
  return address.reduce((value, byte) => (value << 8n) | BigInt(byte), 0n);
}

/** Network order, 4 or 16 bytes. */
export function bytesOf({ family, value }: NumericAddress): Uint8Array {
  const bytes = new Uint8Array(family === 4 ? 4 : 16);
  let rest = value;
  for (let i = bytes.length - 1; i >= 0; i--) {
    bytes[i] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  return bytes;
}

export function rangeOf({ family, address, length }: Prefix): AddressRange {
  const first = numberOf(address);
  return { first, last: first + (1n << BigInt(maxPrefixLength(family) - length)) - 1n };
}

/** Of canonical prefixes; others are passed over. */
export function addressesOf(prefixes: Iterable<string>): AddressSet {
  const ranges: Record<Family, AddressRange[]> = { 4: [], 6: [] };
  for (const text of prefixes) {
    const prefix = parsePrefix(text);
    if (prefix !== undefined) ranges[prefix.family].push(rangeOf(prefix));
  }
  return { 4: merge(ranges[4]), 6: merge(ranges[6]) };
}

export function unionOf(sets: readonly AddressSet[]): AddressSet {
  if (sets.length === 1) return sets[0]!;
  return { 4: merge(sets.flatMap((set) => set[4])), 6: merge(sets.flatMap((set) => set[6])) };
}

/** All addresses but those of the ranges, which are in order and do not overlap. */
export function complementOf(set: AddressSet): AddressSet {
  const rest: Record<Family, AddressRange[]> = { 4: [], 6: [] };
  for (const family of FAMILIES) {
    const [whole] = ALL_ADDRESSES[family];
    let next = 0n;
    for (const { first, last } of set[family]) {
      if (first > next) rest[family].push({ first: next, last: first - 1n });
      next = last + 1n;
    }
    if (next <= whole!.last) rest[family].push({ first: next, last: whole!.last });
  }
  return rest;
}

export function isEmpty(set: AddressSet): boolean {
  return set[4].length + set[6].length === 0;
}

export function contains(set: AddressSet, { family, value }: NumericAddress): boolean {
  const ranges = set[family];
  const at = firstEndingAt(ranges, value);
  return at < ranges.length && ranges[at]!.first <= value;
}

/** Whether every address of `inner` is in `outer`. */
export function covers(outer: AddressSet, inner: AddressSet): boolean {
  return FAMILIES.every((family) =>
    inner[family].every(({ first, last }) => {
      const range = outer[family][firstEndingAt(outer[family], last)];
      return range !== undefined && range.first <= first;
    }),
  );
}

/** Whether an address is in both, in the family. */
export function intersectsIn(family: Family, a: AddressSet, b: AddressSet): boolean {
  const [few, many] = a[family].length < b[family].length ? [a, b] : [b, a];
  return few[family].some(({ first, last }) => {
    const range = many[family][firstEndingAt(many[family], first)];
    return range !== undefined && range.first <= last;
  });
}

/** Whether an address is in both. */
export function intersects(a: AddressSet, b: AddressSet): boolean {
  return FAMILIES.some((family) => intersectsIn(family, a, b));
}

/** Sorts ranges and joins those that overlap or touch. */
export function merge(ranges: readonly AddressRange[]): AddressRange[] {
  const sorted = [...ranges].sort((a, b) => (a.first < b.first ? -1 : a.first > b.first ? 1 : 0));
  const merged: AddressRange[] = [];
  for (const range of sorted) {
    const before = merged.at(-1);
    if (before === undefined || range.first > before.last + 1n) merged.push(range);
    else if (range.last > before.last) {
      merged[merged.length - 1] = { first: before.first, last: range.last };
    }
  }
  return merged;
}

/** Index of the first range that ends at the value or behind it; the length if there is none. */
export function firstEndingAt(ranges: readonly AddressRange[], value: bigint): number {
  let low = 0;
  for (let high = ranges.length; low < high; ) {
    const middle = (low + high) >>> 1;
    if (ranges[middle]!.last < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
