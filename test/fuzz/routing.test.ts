/** Every parser of routing with arbitrary input: returns, never throws. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseAddress, parseIpv4, parseIpv6, splitZone } from '../../src/routing/address.ts';
import { AllowedIps } from '../../src/routing/allowed-ips.ts';
import {
  checkPacket,
  PACKET_MALFORMED,
  PACKET_OPTIONS,
  packetTrafficClass,
} from '../../src/routing/packet.ts';
import {
  formatPrefix,
  parseInterfaceAddress,
  parsePrefix,
  parsePrefixStrict,
} from '../../src/routing/prefix.ts';

const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 100 }),
  fc
    .array(fc.constantFrom(...'0123456789abcdefABCDEF:./%- '), { maxLength: 60 })
    .map((characters) => characters.join('')),
  fc.tuple(fc.ipV4(), fc.string({ maxLength: 6 })).map((parts) => parts.join('')),
  fc.tuple(fc.ipV6(), fc.string({ maxLength: 6 })).map((parts) => parts.join('')),
  fc.tuple(fc.ipV6(), fc.integer()).map((parts) => parts.join('/')),
);

describe('routing with arbitrary input', { timeout: 60_000 }, () => {
  it('parses text or says that it cannot', () => {
    fc.assert(
      fc.property(text, (input) => {
        for (const parse of [parseIpv4, parseIpv6, parseAddress, splitZone, parsePrefixStrict]) {
          parse(input);
        }
        parseInterfaceAddress(input);
        const prefix = parsePrefix(input);
        if (prefix) expect(parsePrefix(formatPrefix(prefix))).toEqual(prefix);
      }),
      { numRuns: 20_000 },
    );
  });

  it('checks packets, and looks up the ones that pass', () => {
    const table = new AllowedIps();
    table.insert(parsePrefix('0.0.0.0/0')!, 4);
    table.insert(parsePrefix('::/0')!, 6);
    const packet = fc
      .tuple(
        fc.uint8Array({ maxLength: 120 }),
        fc.constantFrom(undefined, 0x45, 0x46, 0x60),
        fc.option(fc.nat(120), { nil: undefined }),
      )
      .map(([bytes, first, total]) => {
        if (bytes.length < 6) return bytes;
        if (first !== undefined) bytes[0] = first;
        if (total !== undefined) {
          bytes[2] = 0;
          bytes[3] = total;
          bytes[4] = 0;
          bytes[5] = total;
        }
        return bytes;
      });
    const place = fc.integer({ min: -3, max: 130 });
    fc.assert(
      fc.property(packet, place, place, (bytes, offset, length) => {
        for (const [at, size] of [
          [0, bytes.length],
          [offset, length],
        ] as const) {
          const result = checkPacket(bytes, at, size);
          if (result === PACKET_MALFORMED || result === PACKET_OPTIONS) continue;
          expect(result).toBeGreaterThanOrEqual(20);
          expect(result).toBeLessThanOrEqual(size);
          expect(at + result).toBeLessThanOrEqual(bytes.length);
          const version = bytes[at]! >>> 4;
          expect(table.lookupPacketSource(bytes, at)).toBe(version);
          expect(table.lookupPacketDestination(bytes, at)).toBe(version);
          expect(packetTrafficClass(bytes, at)).toBeLessThan(256);
        }
      }),
      { numRuns: 50_000 },
    );
  });
});
