/** Captured packets in lines: what is in them, cut ones and wrong ones too. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { commentOf } from '../../../src/cli/capture.ts';
import { packetLine, summary } from '../../../src/cli/packet-line.ts';
import type { NamedPacket } from '../../../src/gateway/capture/capture-client.ts';

function bytes(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text.replace(/\s/g, ''), 'hex'));
}

/** From a capture of a kernel's own: SYN of 192.0.2.1.40000 to 192.0.2.2.443, without options. */
const SYN = bytes(`45000028 abcd4000 40060af9 c0000201 c0000202
  9c4001bb 00000064 00000000 50020200 00000000`);
const PING6 = bytes(`60000000 00083a40 20010db8000000000000000000000001
  20010db8000000000000000000000002 8000abcd 00010001`);

function captured(packet: Uint8Array, more: Partial<NamedPacket> = {}): NamedPacket {
  return {
    direction: 'in',
    peer: 1,
    peerName: 'plant',
    verdict: 'accepted',
    path: 'direct',
    time: new Date(2026, 2, 1, 9, 8, 7, 6).getTime() + 0.25,
    length: packet.length,
    bytes: packet,
    lostBefore: 0,
    ...more,
  };
}

test('a line has time, direction, peer and packet; a verdict if it was not accepted', () => {
  expect(packetLine(captured(SYN))).toBe(
    '09:08:07.006250 in  plant  IP 192.0.2.1.40000 > 192.0.2.2.443: tcp [S], seq 100, length 0',
  );
  expect(packetLine(captured(PING6, { direction: 'out', verdict: 'waiting' }))).toMatch(
    / out plant {2}IP6 2001:db8::1 > 2001:db8::2: icmp6 echo request, length 8 \(waits for a session\)$/,
  );
  const dropped = captured(SYN, { peerName: undefined, verdict: 'out_no_route', path: undefined });
  expect(packetLine(dropped)).toMatch(/ in {2}- {2}IP .* \(dropped: out_no_route\)$/);
  expect(commentOf(dropped)).toBe(
    'direction=in peer=- path=- verdict=dropped reason=out_no_route (destination is in no allowed IPs)',
  );
});

test.each([
  [SYN.subarray(0, 30), 40, 'IP 192.0.2.1.40000 > 192.0.2.2.443: tcp'],
  [SYN.subarray(0, 20), 40, 'IP 192.0.2.1 > 192.0.2.2: protocol 6, length 20'],
  [SYN.subarray(0, 19), 40, 'no IP packet, length 40'],
  [
    bytes('4500001c 00002001 40110000 c0000201 c0000202 00000000 00000000'),
    28,
    'IP 192.0.2.1 > 192.0.2.2: fragment of protocol 17, length 28',
  ],
  [
    bytes('4500001c 00000000 40110000 c0000201 c0000202 00350035 00080000'),
    28,
    'IP 192.0.2.1.53 > 192.0.2.2.53: udp, length 0',
  ],
  [
    bytes('4500001c 00000000 40010000 c0000201 c0000202 03040000 00000500'),
    28,
    'IP 192.0.2.1 > 192.0.2.2: icmp unreachable, length 8',
  ],
])('%#', (packet, length, text) => {
  expect(summary({ bytes: packet, length })).toBe(text);
});

test('whatever the bytes are, there is a line', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 90 }),
      fc.constantFrom(0, 0x45, 0x60, 0x4f),
      (packet, first) => {
        if (packet.length > 0 && first > 0) packet[0] = first;
        expect(summary({ bytes: packet, length: packet.length })).toMatch(/length \d+$|tcp$/);
      },
    ),
    { numRuns: 2_000 },
  );
});
