/** IP headers (RFC 791 § 3.1, RFC 8200 § 3) as the data plane reads them. */
import { describe, expect, it } from 'vitest';
import {
  checkPacket,
  ipv4Destination,
  ipv4Source,
  PACKET_MALFORMED,
  PACKET_OPTIONS,
  packetTrafficClass,
  packetVersion,
} from '../../../src/routing/packet.ts';

/** An IPv4 packet of `total` bytes, behind `offset` bytes of something else. */
function ipv4(total: number, offset = 0, headerWords = 5): Uint8Array {
  const bytes = new Uint8Array(offset + total).fill(0xff, 0, offset);
  bytes[offset] = 0x40 | headerWords;
  bytes[offset + 1] = 0xb8;
  bytes[offset + 2] = total >>> 8;
  bytes[offset + 3] = total;
  bytes.set([192, 168, 1, 2, 200, 0, 0, 9], offset + 12);
  return bytes;
}

function ipv6(payload: number, offset = 0): Uint8Array {
  const bytes = new Uint8Array(offset + 40 + payload).fill(0xff, 0, offset);
  bytes[offset] = 0x6b;
  bytes[offset + 1] = 0x8f;
  bytes[offset + 4] = payload >>> 8;
  bytes[offset + 5] = payload;
  return bytes;
}

describe('checkPacket', () => {
  it('returns the length that the packet claims, padding cut off', () => {
    expect(checkPacket(ipv4(20), 0, 20)).toBe(20);
    expect(checkPacket(ipv4(1420, 16), 16, 1420)).toBe(1420);
    expect(checkPacket(ipv6(0), 0, 40)).toBe(40);
    expect(checkPacket(ipv6(1380, 16), 16, 1420)).toBe(1420);
    expect(checkPacket(ipv4(65_535), 0, 65_535)).toBe(65_535);
    const padded = new Uint8Array(64);
    padded.set(ipv4(52));
    expect(checkPacket(padded, 0, 64)).toBe(52);
    padded.set(ipv6(2));
    expect(checkPacket(padded, 0, 64)).toBe(42);
  });

  it('refuses packets that are shorter than they claim, or than a header', () => {
    for (let length = 0; length < 100; length++) {
      expect(checkPacket(ipv4(100), 0, length)).toBe(PACKET_MALFORMED);
      expect(checkPacket(ipv6(60), 0, length)).toBe(PACKET_MALFORMED);
    }
    for (let total = 0; total < 20; total++) {
      const bytes = ipv4(40);
      bytes[3] = total;
      expect(checkPacket(bytes, 0, 40)).toBe(PACKET_MALFORMED);
    }
    expect(checkPacket(ipv6(0), 0, 39)).toBe(PACKET_MALFORMED);
  });

  it('refuses every other version and header length', () => {
    const bytes = ipv4(60);
    for (let first = 0; first < 256; first++) {
      bytes[0] = first;
      bytes[4] = 0;
      bytes[5] = 20;
      const expected =
        first === 0x45 || first >>> 4 === 6
          ? 60
          : first >>> 4 === 4 && (first & 15) > 5
            ? PACKET_OPTIONS
            : PACKET_MALFORMED;
      expect([first, checkPacket(bytes, 0, 60)]).toEqual([first, expected]);
    }
  });

  it('calls options malformed when they do not fit', () => {
    expect(checkPacket(ipv4(24, 0, 6), 0, 24)).toBe(PACKET_OPTIONS);
    expect(checkPacket(ipv4(23, 0, 6), 0, 23)).toBe(PACKET_MALFORMED);
    expect(checkPacket(ipv4(60, 0, 15), 0, 59)).toBe(PACKET_MALFORMED);
  });

  it('never reads past the buffer', () => {
    expect(checkPacket(ipv4(40), 1, 40)).toBe(PACKET_MALFORMED);
    expect(checkPacket(ipv4(40), -1, 40)).toBe(PACKET_MALFORMED);
    expect(checkPacket(new Uint8Array(0), 0, 20)).toBe(PACKET_MALFORMED);
  });
});

describe('header fields', () => {
  it('reads version, addresses and traffic class at any offset', () => {
    for (const offset of [0, 13]) {
      const bytes = ipv4(40, offset);
      expect(packetVersion(bytes, offset)).toBe(4);
      expect(ipv4Source(bytes, offset)).toBe(0xc0a80102);
      expect(ipv4Destination(bytes, offset)).toBe(0xc8000009);
      expect(packetTrafficClass(bytes, offset)).toBe(0xb8);
      expect(packetVersion(ipv6(0, offset), offset)).toBe(6);
      expect(packetTrafficClass(ipv6(0, offset), offset)).toBe(0xb8);
    }
  });
});
