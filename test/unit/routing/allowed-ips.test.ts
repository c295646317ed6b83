/**
 * Longest-prefix match against a naive oracle: a list of prefixes, searched from end to end.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseAddress } from '../../../src/routing/address.ts';
import { AllowedIps, MAX_VALUE, NO_VALUE } from '../../../src/routing/allowed-ips.ts';
import { IPV4_DESTINATION, IPV4_SOURCE, readIpv4 } from '../../../src/routing/packet.ts';
import {
  containsAddress,
  equalPrefixes,
  formatPrefix,
  maxPrefixLength,
  type Prefix,
  parsePrefix,
  prefixOf,
} from '../../../src/routing/prefix.ts';

const prefix = (text: string): Prefix => parsePrefix(text)!;

function lookup(table: AllowedIps, address: Uint8Array): number {
  return address.length === 4 ? table.lookup4(readIpv4(address, 0)) : table.lookup6(address, 0);
}

const at = (table: AllowedIps, text: string): number => lookup(table, parseAddress(text)!.address);

/** What the table should do, in the order in which `entries` lists it. */
class Oracle {
  routes: { prefix: Prefix; value: number }[] = [];

  insert(added: Prefix, value: number): number {
    const found = this.routes.find((route) => equalPrefixes(route.prefix, added));
    const previous = found?.value ?? NO_VALUE;
    if (previous === value) return previous;
    this.remove(added);
    this.routes.push({ prefix: added, value });
    return previous;
  }

  remove(gone: Prefix): number {
    const i = this.routes.findIndex((route) => equalPrefixes(route.prefix, gone));
    return i < 0 ? NO_VALUE : this.routes.splice(i, 1)[0]!.value;
  }

  removeValue(value: number): number {
    const before = this.routes.length;
    this.routes = this.routes.filter((route) => route.value !== value);
    return before - this.routes.length;
  }

  lookup(address: Uint8Array): number {
    let best: { prefix: Prefix; value: number } | undefined;
    for (const route of this.routes) {
      if (!containsAddress(route.prefix, address)) continue;
      if (!best || route.prefix.length > best.prefix.length) best = route;
    }
    return best?.value ?? NO_VALUE;
  }

  prefixesOf(value: number): string[] {
    const own = this.routes.filter((route) => route.value === value).map((route) => route.prefix);
    return [...own.filter((p) => p.family === 4), ...own.filter((p) => p.family === 6)].map(
      formatPrefix,
    );
  }
}

/**
 * Addresses with few different bits, so that prefixes nest and share paths: some draw few bytes from
 * a handful, some crowd into one /24 or /120 (a skipped path) and now and then leave it.
 */
function addresses(size: 4 | 16): fc.Arbitrary<Uint8Array> {
  const byte = fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom(0, 10, 0x7f, 0x80, 0xff) },
    { weight: 1, arbitrary: fc.integer({ min: 0, max: 255 }) },
  );
  const crowded = fc
    .tuple(fc.nat(size - 1), byte, byte, fc.nat(size - 1), byte)
    .map(([where, first, second, last, third]) => {
      const address = new Uint8Array(size);
      address[0] = 10;
      address[where] = first;
      address[Math.min(size - 1, where + 1)] = second;
      address[last] = third;
      return address;
    });
  const spread = fc
    .array(byte, { minLength: size, maxLength: size })
    .map((a) => Uint8Array.from(a));
  const dense = fc
    .tuple(
      fc.oneof(
        { weight: 30, arbitrary: fc.constant(0) },
        { weight: 1, arbitrary: fc.constantFrom(1, 0x10, 0x80) },
      ),
      fc.integer({ min: 0, max: 255 }),
    )
    .map((end) => {
      const address = new Uint8Array(size).fill(0xa5);
      address.set(end, size - 2);
      return address;
    });
  return fc.oneof(
    { weight: 3, arbitrary: crowded },
    { weight: 3, arbitrary: dense },
    { weight: 1, arbitrary: spread },
  );
}

const lengths = (family: 4 | 6): fc.Arbitrary<number> => {
  const longest = maxPrefixLength(family);
  return fc.oneof(
    fc.constantFrom(0, 1, 8, 15, 16, 17, 20, 21, 24, longest - 2, longest - 1, longest),
    fc.integer({ min: 0, max: longest }),
  );
};

const family = fc.constantFrom<4 | 6>(4, 6);
const address = family.chain((f) => addresses(f === 4 ? 4 : 16));
const prefixes = family.chain((f) =>
  fc.tuple(addresses(f === 4 ? 4 : 16), lengths(f)).map(([a, length]) => prefixOf(a, length)),
);
const values = fc.oneof(fc.integer({ min: 0, max: 3 }), fc.constantFrom(MAX_VALUE, 0x80_0000));

type Step =
  | { do: 'insert'; prefix: Prefix; value: number }
  | { do: 'remove'; prefix: Prefix }
  | { do: 'removeNth'; nth: number }
  | { do: 'removeValue'; value: number }
  | { do: 'clear' };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 600,
    arbitrary: fc.record({ do: fc.constant('insert' as const), prefix: prefixes, value: values }),
  },
  { weight: 50, arbitrary: fc.record({ do: fc.constant('remove' as const), prefix: prefixes }) },
  { weight: 250, arbitrary: fc.record({ do: fc.constant('removeNth' as const), nth: fc.nat() }) },
  { weight: 10, arbitrary: fc.record({ do: fc.constant('removeValue' as const), value: values }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('clear' as const) }) },
);

/** First and last address of a prefix and their neighbours outside: where off-by-ones live. */
function edges(p: Prefix): Uint8Array[] {
  const last = p.address.slice();
  for (let bit = p.length; bit < last.length * 8; bit++) last[bit >> 3]! |= 0x80 >> (bit & 7);
  const before = p.address.slice();
  for (let i = before.length - 1; i >= 0; i--) {
    before[i] = before[i]! - 1;
    if (before[i] !== 255) break;
  }
  const after = last.slice();
  for (let i = after.length - 1; i >= 0; i--) {
    after[i] = after[i]! + 1;
    if (after[i] !== 0) break;
  }
  return [p.address, last, before, after];
}

function compare(table: AllowedIps, oracle: Oracle, probes: Uint8Array[]): void {
  expect(table.size).toBe(oracle.routes.length);
  for (const route of oracle.routes) {
    expect(table.get(route.prefix)).toBe(route.value);
    for (const edge of edges(route.prefix)) expect(lookup(table, edge)).toBe(oracle.lookup(edge));
  }
  for (const probe of probes) expect(lookup(table, probe)).toBe(oracle.lookup(probe));
  for (const value of new Set(oracle.routes.map((route) => route.value))) {
    expect(table.prefixesOf(value).map(formatPrefix)).toEqual(oracle.prefixesOf(value));
  }
  const listed = [...table.entries()].map(([p, value]) => `${formatPrefix(p)} ${value}`);
  const expected = oracle.routes.map((route) => `${formatPrefix(route.prefix)} ${route.value}`);
  expect(listed.toSorted()).toEqual(expected.toSorted());
}

function apply(table: AllowedIps, oracle: Oracle, s: Step): void {
  if (s.do === 'insert') {
    expect(table.insert(s.prefix, s.value)).toBe(oracle.insert(s.prefix, s.value));
  } else if (s.do === 'remove') {
    expect(table.get(s.prefix)).toBe(
      oracle.routes.find((route) => equalPrefixes(route.prefix, s.prefix))?.value ?? NO_VALUE,
    );
    expect(table.remove(s.prefix)).toBe(oracle.remove(s.prefix));
  } else if (s.do === 'removeNth') {
    const route = oracle.routes[s.nth % Math.max(1, oracle.routes.length)];
    if (route) expect(table.remove(route.prefix)).toBe(oracle.remove(route.prefix));
  } else if (s.do === 'removeValue') {
    expect(table.removeValue(s.value)).toBe(oracle.removeValue(s.value));
  } else {
    table.clear();
    oracle.routes = [];
  }
}

describe('allowed IPs against a naive oracle', { timeout: 60_000 }, () => {
  it('agrees after every step of short histories', () => {
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 25 }),
        fc.array(address, { maxLength: 10 }),
        (steps, probes) => {
          const table = new AllowedIps();
          const oracle = new Oracle();
          for (const s of steps) {
            apply(table, oracle, s);
            compare(table, oracle, probes);
          }
        },
      ),
      { numRuns: 150 },
    );
  });

  it('agrees at the end of long histories, and after removing everything one by one', () => {
    fc.assert(
      fc.property(
        fc.array(step, { minLength: 200, maxLength: 400, size: 'max' }),
        fc.array(address, { minLength: 50, maxLength: 100, size: 'max' }),
        (steps, probes) => {
          const table = new AllowedIps();
          const oracle = new Oracle();
          for (const s of steps) apply(table, oracle, s);
          compare(table, oracle, probes);
          while (oracle.routes.length > 0) {
            apply(table, oracle, { do: 'removeNth', nth: oracle.routes.length * 7 + 3 });
            if (oracle.routes.length % 16 === 0) compare(table, oracle, probes);
          }
          for (const probe of probes) expect(lookup(table, probe)).toBe(NO_VALUE);
        },
      ),
      { numRuns: 40 },
    );
  });

  it('agrees while one prefix of every length nests in the next, in any order', () => {
    for (const [text, size] of [
      ['10.85.170.85', 32],
      ['2001:db8:5555:aaaa:5555:aaaa:5555:aaab', 128],
    ] as const) {
      const host = parseAddress(text)!.address;
      const all = Array.from({ length: size + 1 }, (_, length) => prefixOf(host, length));
      fc.assert(
        fc.property(
          fc.shuffledSubarray(all, { minLength: all.length, maxLength: all.length }),
          fc.shuffledSubarray(all, { minLength: all.length, maxLength: all.length }),
          (inserted, removed) => {
            const table = new AllowedIps();
            const oracle = new Oracle();
            const probes = all.flatMap(edges);
            for (const p of inserted) {
              table.insert(p, p.length);
              oracle.insert(p, p.length);
            }
            for (const p of removed) {
              for (const probe of probes) expect(lookup(table, probe)).toBe(oracle.lookup(probe));
              expect(table.remove(p)).toBe(p.length);
              oracle.remove(p);
            }
            expect(table.size).toBe(0);
          },
        ),
        { numRuns: 3 },
      );
    }
  });
});

describe('allowed IPs', () => {
  it('finds nothing in an empty table', () => {
    const table = new AllowedIps();
    expect(at(table, '10.0.0.1')).toBe(NO_VALUE);
    expect(at(table, '::')).toBe(NO_VALUE);
    expect(table.remove(prefix('0.0.0.0/0'))).toBe(NO_VALUE);
    expect(table.remove(prefix('10.0.0.0/24'))).toBe(NO_VALUE);
    expect(table.removeValue(0)).toBe(0);
    expect([...table.entries()]).toEqual([]);
  });

  it('shows the covering prefix again when a longer one is removed', () => {
    const table = new AllowedIps();
    table.insert(prefix('0.0.0.0/0'), 1);
    table.insert(prefix('10.0.0.0/8'), 2);
    table.insert(prefix('10.1.0.0/16'), 3);
    table.insert(prefix('10.1.2.3/32'), 4);
    expect(['9.0.0.0', '10.2.0.0', '10.1.2.4', '10.1.2.3'].map((a) => at(table, a))).toEqual([
      1, 2, 3, 4,
    ]);
    expect(table.remove(prefix('10.1.0.0/16'))).toBe(3);
    expect(at(table, '10.1.2.4')).toBe(2);
    expect(table.remove(prefix('10.0.0.0/8'))).toBe(2);
    expect(at(table, '10.1.2.4')).toBe(1);
    expect(table.remove(prefix('0.0.0.0/0'))).toBe(1);
    expect(at(table, '10.1.2.4')).toBe(NO_VALUE);
    expect(at(table, '10.1.2.3')).toBe(4);
  });

  it('takes a prefix away from who had it, and lists it last with who has it now', () => {
    const table = new AllowedIps();
    for (const text of ['10.0.0.0/24', '10.0.1.0/24', 'fd00::/64']) table.insert(prefix(text), 7);
    table.insert(prefix('10.0.3.0/24'), 8);
    expect(table.insert(prefix('10.0.0.0/24'), 8)).toBe(7);
    expect(table.insert(prefix('10.0.0.0/24'), 8)).toBe(8);
    expect(table.prefixesOf(7).map(formatPrefix)).toEqual(['10.0.1.0/24', 'fd00::/64']);
    expect(table.prefixesOf(8).map(formatPrefix)).toEqual(['10.0.3.0/24', '10.0.0.0/24']);
    expect(at(table, '10.0.0.9')).toBe(8);
  });

  it('does not take an address for its own that only resembles a skipped path', () => {
    for (const [cover, host, stray] of [
      ['10.0.0.0/8', '10.0.0.', '10.0.77.'],
      ['2001:db8::/32', '2001:db8:0:1:2:3:4:', '2001:db8:0:1:2:3:5:'],
      ['2001:db8::/32', '2001:db8:0:1:2:3:4:', '2001:db8:0:9:2:3:4:'],
    ] as const) {
      const table = new AllowedIps();
      table.insert(prefix(cover), 1_000);
      for (let i = 0; i < 80; i++) table.insert(prefix(`${host}${i}`), i);
      for (let i = 0; i < 80; i++) {
        expect(at(table, `${host}${i}`)).toBe(i);
        expect(at(table, `${stray}${i}`)).toBe(1_000);
        expect(table.get(prefix(`${stray}${i}`))).toBe(NO_VALUE);
        expect(table.remove(prefix(`${stray}${i}`))).toBe(NO_VALUE);
      }
    }
  });

  it('keeps families apart', () => {
    const table = new AllowedIps();
    table.insert(prefix('0.0.0.0/0'), 4);
    expect(at(table, '::ffff:10.0.0.1')).toBe(NO_VALUE);
    table.insert(prefix('::/0'), 6);
    expect(table.removeValue(4)).toBe(1);
    expect(at(table, '10.0.0.1')).toBe(NO_VALUE);
    expect(at(table, '::ffff:10.0.0.1')).toBe(6);
  });

  it('refuses values and lengths that it cannot hold, unchanged', () => {
    const table = new AllowedIps();
    for (const value of [-1, MAX_VALUE + 1, Number.NaN]) {
      expect(() => table.insert(prefix('10.0.0.0/8'), value)).toThrow(RangeError);
      expect(() => table.insert(prefix('0.0.0.0/0'), value)).toThrow(RangeError);
    }
    expect(() => table.insertBytes(4, new Uint8Array(4), 0, 33, 1)).toThrow(RangeError);
    expect(() => table.insertBytes(6, new Uint8Array(16), 0, 129, 1)).toThrow(RangeError);
    expect(table.size).toBe(0);
  });

  it('looks packets up where they lie, by their version', () => {
    const table = new AllowedIps();
    table.insert(prefix('10.1.0.0/16'), 1);
    table.insert(prefix('10.2.0.0/16'), 2);
    table.insert(prefix('2001:db8:1::/48'), 3);
    table.insert(prefix('2001:db8:2::/48'), 4);
    const bytes = new Uint8Array(100);
    bytes[7] = 0x45;
    bytes.set(parseAddress('10.1.0.5')!.address, 7 + IPV4_SOURCE);
    bytes.set(parseAddress('10.2.0.5')!.address, 7 + IPV4_DESTINATION);
    expect(table.lookupPacketSource(bytes, 7)).toBe(1);
    expect(table.lookupPacketDestination(bytes, 7)).toBe(2);
    bytes[7] = 0x60;
    bytes.set(parseAddress('2001:db8:1::5')!.address, 7 + 8);
    bytes.set(parseAddress('2001:db8:2::5')!.address, 7 + 24);
    expect(table.lookupPacketSource(bytes, 7)).toBe(3);
    expect(table.lookupPacketDestination(bytes, 7)).toBe(4);
    bytes[7] = 0x50;
    expect(table.lookupPacketSource(bytes, 7)).toBe(NO_VALUE);
    expect(table.lookupPacketDestination(bytes, 7)).toBe(NO_VALUE);
  });
});
