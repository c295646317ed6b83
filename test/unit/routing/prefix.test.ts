/** CIDR prefixes: text, bits, containment. */
import { BlockList } from 'node:net';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatAddress } from '../../../src/routing/address.ts';
import {
  clearHostBits,
  comparePrefixes,
  containsAddress,
  containsPrefix,
  equalPrefixes,
  formatPrefix,
  hasHostBits,
  type Prefix,
  parseInterfaceAddress,
  parsePrefix,
  parsePrefixStrict,
  prefixesOverlap,
  prefixOf,
} from '../../../src/routing/prefix.ts';

const prefix = (text: string): Prefix => parsePrefix(text)!;

const anyPrefix = fc
  .constantFrom<4 | 16>(4, 16)
  .chain((size) =>
    fc
      .tuple(fc.uint8Array({ minLength: size, maxLength: size }), fc.nat(size * 8))
      .map(([address, length]) => prefixOf(address, length)),
  );

describe('prefix text', () => {
  it('reads ADDRESS/LENGTH, a bare address as a host, and clears host bits', () => {
    for (const [text, written] of [
      ['10.0.0.0/8', '10.0.0.0/8'],
      ['10.1.2.3/8', '10.0.0.0/8'],
      ['10.1.2.3', '10.1.2.3/32'],
      ['255.255.255.255/31', '255.255.255.254/31'],
      ['1.2.3.4/0', '0.0.0.0/0'],
      ['2001:db8::1/32', '2001:db8::/32'],
      ['2001:db8::1', '2001:db8::1/128'],
      ['ffff::ffff/127', 'ffff::fffe/127'],
      ['ffff::/0', '::/0'],
      ['::ffff:10.0.0.1/104', '::ffff:10.0.0.0/104'],
    ] as const) {
      expect(formatPrefix(prefix(text))).toBe(written);
    }
  });

  it('refuses what is no prefix', () => {
    for (const text of [
      '',
      '/',
      '/8',
      '10.0.0.0/',
      '10.0.0.0/33',
      '10.0.0.0/-1',
      '10.0.0.0/+8',
      '10.0.0.0/08',
      '10.0.0.0/8 ',
      '10.0.0.0/ 8',
      '10.0.0.0/8/8',
      '10.0.0.0/1e1',
      '10.0.0.0/255.0.0.0',
      '10/8',
      '::/129',
      '::/1000',
      'fe80::1%eth0/64',
    ]) {
      expect([text, parsePrefix(text)]).toEqual([text, undefined]);
      expect([text, parsePrefixStrict(text)]).toEqual([text, undefined]);
      expect([text, parseInterfaceAddress(text)]).toEqual([text, undefined]);
    }
  });

  it('says when host bits were set, and keeps them in an interface address', () => {
    expect(parsePrefixStrict('10.0.0.0/8')).toEqual({
      prefix: prefix('10.0.0.0/8'),
      hostBits: false,
    });
    expect(parsePrefixStrict('10.0.0.1/8')).toEqual({
      prefix: prefix('10.0.0.0/8'),
      hostBits: true,
    });
    expect(parsePrefixStrict('::1/127')?.hostBits).toBe(true);
    expect(formatPrefix(parseInterfaceAddress('192.168.1.7/24')!)).toBe('192.168.1.7/24');
  });

  it('survives writing and reading', () => {
    fc.assert(
      fc.property(anyPrefix, (p) => {
        expect(parsePrefixStrict(formatPrefix(p))).toEqual({ prefix: p, hostBits: false });
      }),
    );
  });
});

describe('prefix bits', () => {
  it('clears what is behind the length and nothing else', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 16, maxLength: 16 }),
        fc.nat(128),
        (address, length) => {
          const bits = (bytes: Uint8Array): string =>
            [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('');
          const expected = bits(address).slice(0, length).padEnd(128, '0');
          const cleared = address.slice();
          clearHostBits(cleared, length);
          expect(bits(cleared)).toBe(expected);
          expect(hasHostBits(address, length)).toBe(bits(address) !== expected);
        },
      ),
    );
  });

  it('refuses sizes and lengths that do not exist', () => {
    expect(() => prefixOf(new Uint8Array(5), 0)).toThrow(RangeError);
    expect(() => prefixOf(new Uint8Array(4), 33)).toThrow(RangeError);
    expect(() => prefixOf(new Uint8Array(16), 1.5)).toThrow(RangeError);
    const address = Uint8Array.of(1, 2, 3, 4);
    expect(prefixOf(address, 32).address).not.toBe(address);
  });
});

describe('prefix relations', () => {
  it('contains the addresses that node:net finds in the subnet', () => {
    fc.assert(
      fc.property(
        anyPrefix,
        fc.uint8Array({ minLength: 16, maxLength: 16 }),
        fc.nat(),
        (p, r, n) => {
          // An address that shares a random number of leading bits with the prefix.
          const address = p.address.slice();
          const shared = n % (address.length * 8 + 1);
          const random = r.slice(0, address.length);
          const tail = random.slice();
          clearHostBits(tail, shared);
          clearHostBits(address, shared);
          for (let i = 0; i < address.length; i++) address[i]! |= random[i]! ^ tail[i]!;
          const list = new BlockList();
          const family = p.family === 4 ? 'ipv4' : 'ipv6';
          // node:net takes no length 0.
          if (p.length > 0) list.addSubnet(formatAddress(p.address), p.length, family);
          expect(containsAddress(p, address)).toBe(
            p.length === 0 || list.check(formatAddress(address), family),
          );
        },
      ),
    );
  });

  it('nests', () => {
    expect(containsPrefix(prefix('10.0.0.0/8'), prefix('10.1.0.0/16'))).toBe(true);
    expect(containsPrefix(prefix('10.1.0.0/16'), prefix('10.0.0.0/8'))).toBe(false);
    expect(containsPrefix(prefix('10.0.0.0/8'), prefix('11.0.0.0/8'))).toBe(false);
    expect(containsPrefix(prefix('0.0.0.0/0'), prefix('::/0'))).toBe(false);
    expect(prefixesOverlap(prefix('10.1.0.0/16'), prefix('10.0.0.0/8'))).toBe(true);
    expect(prefixesOverlap(prefix('10.0.0.0/9'), prefix('10.128.0.0/9'))).toBe(false);
    expect(equalPrefixes(prefix('10.0.0.0/8'), prefix('10.9.9.9/8'))).toBe(true);
    expect(equalPrefixes(prefix('10.0.0.0/8'), prefix('10.0.0.0/9'))).toBe(false);
    expect(equalPrefixes(prefix('0.0.0.0/0'), prefix('::/0'))).toBe(false);
  });

  it('sorts IPv4 first, by address, the shorter first', () => {
    const sorted = ['0.0.0.0/0', '10.0.0.0/8', '10.0.0.0/9', '10.1.0.0/16', '::/0', 'fd00::/8'];
    const shuffled = [3, 5, 0, 4, 2, 1].map((i) => prefix(sorted[i]!));
    expect(shuffled.toSorted(comparePrefixes).map(formatPrefix)).toEqual(sorted);
  });
});
