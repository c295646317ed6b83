/**
 * Address text. Vectors: RFC 4291 § 2.2 (text forms), RFC 5952 § 4 and § 5 (canonical form), copied
 * from the RFCs; for arbitrary text, node's `isIP` and the URL parser are the independent truth.
 */
import { isIPv4, isIPv6 } from 'node:net';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bytesToHex, hexToBytes } from '../../../src/bytes.ts';
import {
  formatAddress,
  formatIpv4,
  formatIpv6,
  parseAddress,
  parseIpv4,
  parseIpv6,
  splitZone,
} from '../../../src/routing/address.ts';

const hex = (text: string): string | undefined => {
  const parsed = parseIpv6(text);
  return parsed && bytesToHex(parsed);
};

/** RFC 4291 § 2.2, items 1 to 3: pairs of text forms of one address. */
const RFC4291: [string, string][] = [
  ['ABCD:EF01:2345:6789:ABCD:EF01:2345:6789', 'abcdef0123456789abcdef0123456789'],
  ['2001:DB8:0:0:8:800:200C:417A', '20010db80000000000080800200c417a'],
  ['2001:DB8::8:800:200C:417A', '20010db80000000000080800200c417a'],
  ['FF01:0:0:0:0:0:0:101', 'ff010000000000000000000000000101'],
  ['FF01::101', 'ff010000000000000000000000000101'],
  ['0:0:0:0:0:0:0:1', '00000000000000000000000000000001'],
  ['::1', '00000000000000000000000000000001'],
  ['0:0:0:0:0:0:0:0', '00000000000000000000000000000000'],
  ['::', '00000000000000000000000000000000'],
  ['0:0:0:0:0:0:13.1.68.3', '0000000000000000000000000d014403'],
  ['::13.1.68.3', '0000000000000000000000000d014403'],
  ['0:0:0:0:0:FFFF:129.144.52.38', '00000000000000000000ffff81903426'],
  ['::FFFF:129.144.52.38', '00000000000000000000ffff81903426'],
];

/** RFC 5952: any form, and the one to write. */
const RFC5952: [string, string][] = [
  ['2001:0db8::0001', '2001:db8::1'], // § 4.1
  ['2001:db8:0:0:0:0:2:1', '2001:db8::2:1'], // § 4.2.1
  ['2001:db8::0:1', '2001:db8::1'], // § 4.2.1
  ['2001:db8::1:1:1:1:1', '2001:db8:0:1:1:1:1:1'], // § 4.2.2
  ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'], // § 4.2.3
  ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'], // § 4.2.3
  ['2001:DB8:AAAA::AbCd', '2001:db8:aaaa::abcd'], // § 4.3
  ['0:0:0:0:0:ffff:192.0.2.1', '::ffff:192.0.2.1'], // § 5
  ['::FFFF:c000:201', '::ffff:192.0.2.1'], // § 5
  ['::', '::'],
  ['0::1', '::1'],
  ['1:0:0:0:0:0:0:0', '1::'],
  ['1::8', '1::8'],
  ['0:1:2:3:4:5:6:7', '0:1:2:3:4:5:6:7'],
  ['1:2:3:4:5:6:7:0', '1:2:3:4:5:6:7:0'],
];

const NO_IPV6 = [
  '',
  ':',
  ':::',
  '1',
  '1:2:3:4:5:6:7',
  '1:2:3:4:5:6:7:8:9',
  '1:2:3:4:5:6:7:8::',
  '::1:2:3:4:5:6:7:8',
  '1:2:3:4::5:6:7:8',
  '1::2::3',
  '1:::2',
  ':1::2',
  '1::2:',
  '12345::',
  'g::',
  '::1.2.3',
  '::1.2.3.4.5',
  '::01.2.3.4',
  '::256.1.1.1',
  '1:2:3:4:5:6:7:1.2.3.4',
  '::1.2.3.4:5',
  '1.2.3.4::',
  '::f.1.2.3',
  'fe80::1%eth0',
  ' ::1',
  '::1 ',
  '[::1]',
  '::1/128',
  '0000:0000:0000:0000:0000:0000:0000:0000:0000',
];

const NO_IPV4 = [
  '',
  '1',
  '1.2.3',
  '1.2.3.',
  '.1.2.3',
  '1..2.3',
  '1.2.3.4.',
  '1.2.3.4.5',
  '01.2.3.4',
  '1.2.3.00',
  '256.1.1.1',
  '1.2.3.999999999999999999',
  '-1.2.3.4',
  '+1.2.3.4',
  '0x1.2.3.4',
  '1.2.3.4 ',
  ' 1.2.3.4',
  '1.2.3.a',
  '1,2,3,4',
  '١.2.3.4',
];

describe('address text', () => {
  it('reads every form of RFC 4291', () => {
    for (const [text, bytes] of RFC4291) expect([text, hex(text)]).toEqual([text, bytes]);
  });

  it('writes the form of RFC 5952', () => {
    for (const [text, canonical] of RFC5952) {
      expect([text, formatIpv6(parseIpv6(text)!)]).toEqual([text, canonical]);
    }
  });

  it('refuses what is no address', () => {
    for (const text of NO_IPV6) expect([text, parseIpv6(text)]).toEqual([text, undefined]);
    for (const text of NO_IPV4) expect([text, parseIpv4(text)]).toEqual([text, undefined]);
  });

  it('reads and writes IPv4', () => {
    expect(parseIpv4('192.0.2.255')).toEqual(Uint8Array.of(192, 0, 2, 255));
    expect(parseIpv4('0.0.0.0')).toEqual(new Uint8Array(4));
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 4, maxLength: 4 }), (bytes) => {
        expect(parseIpv4(formatIpv4(bytes))).toEqual(bytes);
        expect(isIPv4(formatIpv4(bytes))).toBe(true);
      }),
    );
  });

  it('writes IPv6 as the URL parser does (but mapped addresses), and reads it back', () => {
    const group = fc.oneof(fc.constant(0), fc.constant(1), fc.integer({ min: 0, max: 0xffff }));
    fc.assert(
      fc.property(fc.array(group, { minLength: 8, maxLength: 8 }), (groups) => {
        const bytes = hexToBytes(groups.map((g) => g.toString(16).padStart(4, '0')).join(''))!;
        const text = formatIpv6(bytes);
        expect(parseIpv6(text)).toEqual(bytes);
        const url = new URL(`http://[${groups.map((g) => g.toString(16)).join(':')}]/`).hostname;
        if (!text.includes('.')) expect(`[${text}]`).toBe(url);
      }),
      { numRuns: 1_000 },
    );
  });

  it('agrees with isIP on mutilated addresses', () => {
    const piece = fc.constantFrom(
      '0',
      '1',
      'ffff',
      '12ab',
      ':',
      ':',
      '::',
      '.',
      '1.2.3.4',
      '255',
      '00',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 18 }), (pieces) => {
        const text = pieces.join('');
        expect(parseIpv6(text) !== undefined).toBe(isIPv6(text));
        expect(parseIpv4(text) !== undefined).toBe(isIPv4(text));
      }),
      { numRuns: 5_000 },
    );
  });

  it('tells the families apart, and formats by length', () => {
    expect(parseAddress('10.0.0.1')).toEqual({ family: 4, address: Uint8Array.of(10, 0, 0, 1) });
    expect(parseAddress('::1')?.family).toBe(6);
    expect(parseAddress('example.org')).toBeUndefined();
    expect(formatAddress(Uint8Array.of(10, 0, 0, 1))).toBe('10.0.0.1');
    expect(formatAddress(new Uint8Array(16))).toBe('::');
    expect(() => formatAddress(new Uint8Array(5))).toThrow(RangeError);
    const arena = new Uint8Array(40);
    arena.set([10, 0, 0, 1], 7);
    arena[38] = 1;
    expect(formatIpv4(arena, 7)).toBe('10.0.0.1');
    expect(formatIpv6(arena, 23)).toBe('::1');
  });

  it('cuts zone ids off (RFC 4007 § 11)', () => {
    expect(splitZone('fe80::1%eth0')).toEqual({ address: 'fe80::1', zone: 'eth0' });
    expect(splitZone('fe80::1')).toEqual({ address: 'fe80::1', zone: '' });
    expect(splitZone('fe80::1%')).toBeUndefined();
  });
});
