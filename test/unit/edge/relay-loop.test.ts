/** The relay's loop when the kernel takes its sockets away. */
import { expect, test } from 'vitest';
import { Clock } from '../../../src/clock.ts';
import { RelayCore } from '../../../src/control/relay/relay-core.ts';
import { RelayLoop } from '../../../src/edge/relay/relay-loop.ts';
import { type Addon, type PollHandle, READABLE } from '../../../src/native/addon.ts';
import type { UdpSockets } from '../../../src/udp/udp-sockets.ts';
import type { OutboundVector, VectorAead } from '../../../src/vector.ts';
import type { Device } from '../../../src/wireguard/device.ts';

const EBADF = 9;

/** Sockets that take no more than `room` entries of a vector. */
function socketsOn(fd: number, room: number) {
  const calls: string[] = [];
  const sockets = {
    fd4: fd,
    fd6: -1,
    refused: 0,
    tooLong: 0,
    unreachable: 0,
    receive: () => void calls.push('receive'),
    send: (vector: OutboundVector) => {
      const taken = Math.min(room, vector.length);
      vector.length -= taken;
      calls.push(`send ${taken}`);
      return vector.length > 0 ? 4 : 0;
    },
    giveUp: (vector: OutboundVector) => vector.length,
    kernelDrops: () => 3,
    close: () => void calls.push('close'),
  };
  return { calls, sockets: sockets as unknown as UdpSockets };
}

/** A loop whose device wants `wanted` messages sent, once. */
function openLoop(wanted: number) {
  const polls = new Map<number, (events: number) => void>();
  const watched = new Map<number, number>();
  const addon = {
    createPoll: (fd: number, callback: (events: number) => void) => {
      polls.set(fd, callback);
      return fd as unknown as PollHandle;
    },
    setPoll: (poll: PollHandle, events: number) => watched.set(poll as unknown as number, events),
    closePoll: (poll: PollHandle) => watched.delete(poll as unknown as number),
  } as unknown as Addon;
  let waiting = wanted;
  const device = {
    handshakesWaiting: 0,
    pollTransmit: (vector: OutboundVector) => {
      vector.length = waiting;
      waiting = 0;
      return false;
    },
    pollTimeout: () => Number.POSITIVE_INFINITY,
  } as unknown as Device;
  const core = new RelayCore(1, { capacity: 8, pairs: 16 });
  let lost = 0;
  const loop = new RelayLoop({
    addon,
    device,
    aead: { sealVector: () => {} } as unknown as VectorAead,
    core,
    clock: new Clock(),
    forwarded: new Float64Array(2),
    onHeard: () => {},
    onLeft: () => {},
    onTick: () => {},
    onEvents: () => {},
    onSocketsLost: () => {
      lost++;
      loop.useSockets(undefined);
    },
  });
  return { loop, core, polls, watched, lost: () => lost };
}

test('it says so, counts what waited for them, and goes on with new ones', () => {
  const { loop, core, polls, watched, lost } = openLoop(5);
  const before = socketsOn(4, 2);
  loop.useSockets(before.sockets);
  loop.afterChange();
  expect(before.calls).toEqual(['send 2']);
  polls.get(4)!(-EBADF);
  expect(lost()).toBe(1);
  expect(before.calls).toEqual(['send 2', 'close']);
  expect([...watched]).toEqual([]);
  expect(core.drops.entries()).toEqual([
    ['relay_socket_closed', 3],
    ['relay_receive_full', 3],
  ]);
  const after = socketsOn(7, 100);
  loop.useSockets(after.sockets);
  expect([...watched]).toEqual([[7, READABLE]]);
  polls.get(7)!(READABLE);
  expect(after.calls).toContain('receive');
  loop.close();
  expect(after.calls.at(-1)).toBe('close');
});

test('what the edge itself wants sent waits for new ones', () => {
  const { loop, core } = openLoop(5);
  loop.afterChange();
  const { calls, sockets } = socketsOn(4, 100);
  loop.useSockets(sockets);
  loop.afterChange();
  expect(calls).toEqual(['send 5']);
  loop.close();
  expect(core.drops.entries()).toEqual([['relay_receive_full', 3]]);
});
