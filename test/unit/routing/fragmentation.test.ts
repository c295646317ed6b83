/** Fragments are put together again as a host does it, and must be the packet; and the two other repairs. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Fragmentation } from '../../../src/routing/fragmentation.ts';
import { checkPacket } from '../../../src/routing/packet.ts';
import { encodePacketTooBig } from '../../../src/routing/packet-too-big.ts';
import { clampSegmentSize } from '../../../src/routing/segment-size.ts';

/** RFC 1071 as it is written there, over bytes: 0 if they hold a right checksum. */
function naiveChecksum(bytes: readonly number[]): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) sum += bytes[i]! * 256 + (bytes[i + 1] ?? 0);
  while (sum >= 65_536) sum = (sum % 65_536) + Math.floor(sum / 65_536);
  return 65_535 - sum;
}

function word(bytes: Uint8Array, at: number): number {
  return bytes[at]! * 256 + bytes[at + 1]!;
}

function ipv4(payload: Uint8Array, flags: number, protocol = 17): Uint8Array {
  const bytes = new Uint8Array(20 + payload.length);
  bytes.set([
    0x45,
    0x10,
    bytes.length >> 8,
    bytes.length,
    0x12,
    0x34,
    flags >> 8,
    flags,
    64,
    protocol,
  ]);
  bytes.set([10, 1, 0, 10, 10, 2, 0, 10], 12);
  const sum = naiveChecksum([...bytes.subarray(0, 20)]);
  bytes.set([sum >> 8, sum & 255], 10);
  bytes.set(payload, 20);
  return bytes;
}

function ipv6(payload: Uint8Array, next = 17): Uint8Array {
  const bytes = new Uint8Array(40 + payload.length);
  bytes.set([0x6a, 0xbc, 0xde, 0xf0, payload.length >> 8, payload.length, next, 64]);
  bytes.set([0xfd, 1], 8);
  bytes.set([0xfd, 2], 24);
  bytes[39] = 9;
  bytes.set(payload, 40);
  return bytes;
}

function cut(packet: Uint8Array, mtu: number): Uint8Array[] {
  const fragmentation = new Fragmentation();
  const padded = new Uint8Array(packet.length + 20);
  padded.set(packet, 5);
  fragmentation.begin(padded, 5, packet.length, mtu, 0xdeadbeef);
  return Array.from({ length: fragmentation.count }, (_, i) => {
    const out = new Uint8Array(9_100).fill(0xee);
    fragmentation.write(i, out, 3);
    expect(out.subarray(0, 3).every((b) => b === 0xee)).toBe(true);
    const size = fragmentation.sizeOf(i);
    expect(out.subarray(3 + size).every((b) => b === 0xee)).toBe(true);
    return out.slice(3, 3 + size);
  });
}

/** Where each fragment's payload belongs, and whether more follow: RFC 791, RFC 8200 § 4.5. */
function placeOf(fragment: Uint8Array): { at: number; more: boolean; payload: Uint8Array } {
  if (fragment[0]! >> 4 === 4) {
    const flags = word(fragment, 6);
    return {
      at: (flags & 0x1fff) * 8,
      more: (flags & 0x2000) !== 0,
      payload: fragment.subarray(20),
    };
  }
  expect(fragment[6]).toBe(44);
  const flags = word(fragment, 42);
  return { at: flags & 0xfff8, more: (flags & 1) !== 0, payload: fragment.subarray(48) };
}

function joined(fragments: readonly Uint8Array[]): Uint8Array {
  const places = fragments.map(placeOf);
  let end = 0;
  for (const [i, { at, more, payload }] of places.entries()) {
    expect(at).toBe(end);
    expect(more).toBe(i < places.length - 1);
    if (more) expect(payload.length % 8).toBe(0);
    end += payload.length;
  }
  return Uint8Array.from(places.flatMap(({ payload }) => [...payload]));
}

const payloads = fc.uint8Array({ minLength: 1_200, maxLength: 8_900 });
const mtus = fc.integer({ min: 576, max: 1_200 });

describe('fragments', () => {
  it('of IPv4 are the packet again', () => {
    fc.assert(
      fc.property(payloads, mtus, (payload, mtu) => {
        const packet = ipv4(payload, 0);
        const fragments = cut(packet, mtu);
        for (const fragment of fragments) {
          expect(fragment.length).toBeLessThanOrEqual(mtu);
          expect(checkPacket(fragment, 0, fragment.length)).toBe(fragment.length);
          expect(naiveChecksum([...fragment.subarray(0, 20)])).toBe(0);
          expect(word(fragment, 4)).toBe(0x1234);
          expect(fragment.slice(8, 10)).toEqual(packet.slice(8, 10));
          expect(fragment.slice(12, 20)).toEqual(packet.slice(12, 20));
        }
        expect(joined(fragments)).toEqual(payload);
      }),
    );
  });

  it('of IPv6 are the packet again', () => {
    fc.assert(
      fc.property(payloads, mtus, (payload, mtu) => {
        const packet = ipv6(payload);
        const fragments = cut(packet, mtu);
        for (const fragment of fragments) {
          expect(fragment.length).toBeLessThanOrEqual(mtu);
          expect(checkPacket(fragment, 0, fragment.length)).toBe(fragment.length);
          expect(fragment[40]).toBe(17);
          expect([...fragment.slice(44, 48)]).toEqual([0xde, 0xad, 0xbe, 0xef]);
          expect(fragment.slice(0, 4)).toEqual(packet.slice(0, 4));
          expect(fragment.slice(7, 40)).toEqual(packet.slice(7, 40));
        }
        expect(joined(fragments)).toEqual(payload);
      }),
    );
  });

  it('of a fragment keep its place and its identification', () => {
    const payload = Uint8Array.from({ length: 1_208 }, (_, i) => i);
    const middle = cut(ipv4(payload, 0x2000 | 100), 600).map(placeOf);
    expect(middle.map(({ at }) => at)).toEqual([800, 800 + 576, 800 + 1_152]);
    expect(middle.every(({ more }) => more)).toBe(true);
    const header = [17, 0, 0x03, 0x21, 1, 2, 3, 4]; // at 800, more
    const parts = cut(ipv6(Uint8Array.from([...header, ...payload]), 44), 1_200);
    expect(parts.map(placeOf).map(({ at, more }) => [at, more])).toEqual([
      [800, true],
      [800 + 1_152, true],
    ]);
    for (const part of parts) expect([...part.slice(44, 48)]).toEqual([1, 2, 3, 4]);
  });

  it('come behind the headers that every router reads', () => {
    const options = [17, 0, 5, 2, 0, 0, 1, 0];
    const payload = Uint8Array.from([...options, ...new Uint8Array(1_232).fill(7)]);
    const parts = cut(ipv6(payload, 0), 1_200);
    expect(parts.length).toBe(2);
    for (const part of parts) {
      expect(part[6]).toBe(0);
      expect(part[40]).toBe(44);
      expect(part[48]).toBe(17);
    }
  });

  it('are together at most twice the packet, whatever headers are to be repeated', () => {
    for (let extension = 8; extension <= 1_024; extension += 8) {
      const payload = new Uint8Array(1_240);
      payload.set([17, extension / 8 - 1]);
      const packet = ipv6(payload, 0);
      const total = cut(packet, 512).reduce((sum, { length }) => sum + length, 0);
      expect(total).toBeLessThanOrEqual(2 * packet.length);
      if (extension <= 200) expect(total).toBeGreaterThan(packet.length);
    }
  });

  it('are not made of what must not be cut', () => {
    expect(cut(ipv4(new Uint8Array(1_400), 0x4000), 1_200)).toEqual([]);
    // Headers that go on behind the end.
    expect(cut(ipv6(Uint8Array.from([17, 255, 0, 0, 0, 0, 0, 0]), 0), 1_200)).toEqual([]);
    expect(cut(ipv6(new Uint8Array(4), 44), 1_200)).toEqual([]);
  });

  it('of any bytes never throw', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 20, maxLength: 200 }), mtus, (bytes, mtu) => {
        bytes[0] = (bytes[0]! & 15) | (bytes.length >= 40 && bytes[1]! & 1 ? 0x60 : 0x40);
        const fragmentation = new Fragmentation();
        fragmentation.begin(bytes, 0, bytes.length, mtu, 1);
        const out = new Uint8Array(2_000);
        for (let i = 0; i < fragmentation.count; i++) fragmentation.write(i, out, 0);
      }),
    );
  });
});

describe('the answer to a packet that is too long', () => {
  it('of IPv4 says the MTU, from where the packet was to go', () => {
    const packet = ipv4(new Uint8Array(1_400).fill(9), 0x4000);
    const out = new Uint8Array(1_280);
    const size = encodePacketTooBig(packet, 0, packet.length, 1_232, out);
    expect(size).toBe(576);
    const answer = out.subarray(0, size);
    expect(checkPacket(answer, 0, size)).toBe(size);
    expect(naiveChecksum([...answer.subarray(0, 20)])).toBe(0);
    expect(naiveChecksum([...answer.subarray(20)])).toBe(0);
    expect([...answer.slice(12, 20)]).toEqual([10, 2, 0, 10, 10, 1, 0, 10]);
    expect([answer[9], answer[20], answer[21], word(answer, 26)]).toEqual([1, 3, 4, 1_232]);
    expect(answer.slice(28)).toEqual(packet.slice(0, 548));
  });

  it('of IPv6 says no less than IPv6 asks of a link', () => {
    const packet = ipv6(new Uint8Array(1_400).fill(9));
    const out = new Uint8Array(1_280);
    const size = encodePacketTooBig(packet, 0, packet.length, 1_200, out);
    expect(size).toBe(1_280);
    const pseudo = [...out.subarray(8, 40), 0, 0, (size - 40) >> 8, (size - 40) & 255, 0, 0, 0, 58];
    expect(naiveChecksum([...pseudo, ...out.subarray(40, size)])).toBe(0);
    expect([out[40], out[41], word(out, 44) * 65_536 + word(out, 46)]).toEqual([2, 0, 1_280]);
    expect(out.slice(8, 24)).toEqual(packet.slice(24, 40));
  });

  it('is not given to errors and to later fragments', () => {
    const out = new Uint8Array(1_280);
    const error = new Uint8Array(1_400);
    error[0] = 3;
    for (const packet of [ipv4(error, 0, 1), ipv4(new Uint8Array(1_400), 100), ipv6(error, 58)]) {
      expect(encodePacketTooBig(packet, 0, packet.length, 1_200, out)).toBe(0);
    }
    const echo = new Uint8Array(1_400);
    echo[0] = 8;
    const ping = ipv4(echo, 0x4000, 1);
    expect(encodePacketTooBig(ping, 0, ping.length, 1_200, out)).toBe(576);
  });
});

describe("a SYN's segment size", () => {
  function syn(v6: boolean, options: readonly number[], flags = 2): Uint8Array {
    const tcp = new Uint8Array(20 + Math.ceil(options.length / 4) * 4);
    tcp.set([0x12, 0x34, 0, 80, 1, 2, 3, 4]);
    tcp[12] = (tcp.length / 4) << 4;
    tcp[13] = flags;
    tcp.set(options, 20);
    const packet = v6 ? ipv6(tcp, 6) : ipv4(tcp, 0x4000, 6);
    const sum = naiveChecksum([...pseudoHeader(packet, tcp.length), ...tcp]);
    packet.set([sum >> 8, sum & 255], (v6 ? 40 : 20) + 16);
    return packet;
  }
  function pseudoHeader(packet: Uint8Array, length: number): number[] {
    const addresses = packet[0]! >> 4 === 6 ? packet.subarray(8, 40) : packet.subarray(12, 20);
    return [...addresses, 0, 6, length >> 8, length & 255];
  }

  it.each([false, true])('becomes what the path carries, with its checksum (IPv6: %s)', (v6) => {
    const header = v6 ? 40 : 20;
    for (const before of [[], [1], [1, 1, 1], [4, 2], [8, 10, 1, 2, 3, 4, 5, 6, 7, 8]]) {
      const packet = syn(v6, [...before, 2, 4, 5, 0xb4, 0]);
      expect(clampSegmentSize(packet, 0, packet.length, 1_280)).toBe(true);
      const at = header + 20 + before.length + 2;
      expect(word(packet, at)).toBe(1_280 - header - 20);
      const tcp = packet.subarray(header);
      expect(naiveChecksum([...pseudoHeader(packet, tcp.length), ...tcp])).toBe(0);
      // Once is enough.
      expect(clampSegmentSize(packet, 0, packet.length, 1_280)).toBe(false);
    }
  });

  it('stays where it is small, or no SYN says it', () => {
    const small = [2, 4, 2, 24];
    for (const packet of [
      syn(false, small),
      syn(false, [2, 4, 5, 0xb4], 0x10),
      syn(false, []),
      syn(false, [0, 2, 4, 5, 0xb4]),
      syn(true, [7, 0, 2, 4, 5, 0xb4]),
    ]) {
      const before = packet.slice();
      expect(clampSegmentSize(packet, 0, packet.length, 1_280)).toBe(false);
      expect(packet).toEqual(before);
    }
  });

  it('of any bytes is no exception', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), fc.boolean(), (tcp, v6) => {
        const packet = v6 ? ipv6(tcp, 6) : ipv4(tcp, 0, 6);
        const before = packet.length;
        clampSegmentSize(packet, 0, packet.length, 1_280);
        expect(packet.length).toBe(before);
      }),
    );
  });
});
