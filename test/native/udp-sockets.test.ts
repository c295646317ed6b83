import { expect, test } from 'vitest';
import { UdpSockets } from '../../src/udp/udp-sockets.ts';
import { EndpointTable, SLOT_COMPLETE } from '../../src/vector.ts';
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
