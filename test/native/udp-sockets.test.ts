import { expect, test } from 'vitest';
import { UdpSockets } from '../../src/udp/udp-sockets.ts';
import { EndpointTable, MESSAGE_OVERHEAD, SLOT_COMPLETE } from '../../src/vector.ts';
import { writeEndpoint } from '../../src/wireguard/endpoint-record.ts';
import { addon, outboundOf } from './addon-under-test.ts';

test('what is given up of a vector is counted once, by datagrams', () => {
  const endpoints = new EndpointTable(1);
  const sockets = UdpSockets.open(addon, 0, 0, endpoints);
  const address = Uint8Array.of(127, 0, 0, 1);
  writeEndpoint(endpoints, 0, { family: 4, address, port: sockets.port, scope: 0 });
  const shape = { size: 64, lastSize: 32, counter: 0, slot: SLOT_COMPLETE };
  const vector = outboundOf(
    [
      { ...shape, count: 3 },
      { ...shape, count: 5 },
    ],
    0,
    1,
  );
  // Nothing of it has been sent yet: all of it is left.
  expect(sockets.giveUp(vector)).toBe(8);
  expect(sockets.giveUp(vector)).toBe(0);
  expect(sockets.send(vector, false)).toBe(0);
  expect([sockets.refused, sockets.tooLong, sockets.unreachable]).toEqual([0, 0, 0]);
  expect(sockets.giveUp(vector)).toBe(0);
  sockets.close();
});

test.each([4, 6] as const)(
  'IPv%i: what is too long for the link is refused, not cut, on demand',
  (family) => {
    const endpoints = new EndpointTable(1);
    const sockets = UdpSockets.open(addon, 0, 0, endpoints);
    const address = family === 4 ? Uint8Array.of(127, 0, 0, 1) : new Uint8Array(16).fill(1, 15);
    writeEndpoint(endpoints, 0, { family, address, port: sockets.port, scope: 0 });
    // Above a loopback's 65,536 only with the headers: IPv6 payload of 65,507 is 65,555 bytes.
    const option = (): number[] => {
      const size = 65_507 - MESSAGE_OVERHEAD;
      const vector = outboundOf(
        [{ size, lastSize: size, counter: 0, slot: SLOT_COMPLETE, count: 1 }],
        0,
        1,
      );
      expect(sockets.send(vector, false)).toBe(0);
      return [sockets.refused, sockets.tooLong, sockets.unreachable];
    };
    expect(option()).toEqual([0, 0, 0]);
    sockets.setDontFragment(true);
    expect(option()).toEqual([0, family === 6 ? 1 : 0, 0]);
    sockets.setDontFragment(false);
    expect(option()).toEqual([0, 0, 0]);
    sockets.close();
  },
);
