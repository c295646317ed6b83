/** What becomes of datagrams that wait for a socket when the sockets are others, or none. */
import { expect, test } from 'vitest';
import { Clock } from '../../../src/clock.ts';
import { DropCounters } from '../../../src/drops.ts';
import { PacketLoop } from '../../../src/gateway/data-plane/packet-loop.ts';
import type { Addon, PollHandle } from '../../../src/native/addon.ts';
import type { TunDevice } from '../../../src/tun/tun-device.ts';
import type { UdpSockets } from '../../../src/udp/udp-sockets.ts';
import type { OutboundVector } from '../../../src/vector.ts';
import { World } from '../../simulation/world.ts';

/** Sockets that take no more than `room` entries of a vector. */
class NarrowSockets {
  readonly fd4 = 4;
  readonly fd6 = -1;
  readonly refused = 0;
  readonly tooLong = 0;
  readonly unreachable = 0;
  sent = 0;
  /** Datagrams that its receive buffer had no room for. */
  lost = 0;
  room: number;

  constructor(room: number) {
    this.room = room;
  }

  send(vector: OutboundVector): 0 | 4 {
    const take = Math.min(this.room, vector.length);
    this.sent += take;
    vector.length -= take;
    return vector.length > 0 ? 4 : 0;
  }

  giveUp(vector: OutboundVector): number {
    return vector.length;
  }

  kernelDrops(): number {
    return this.lost;
  }

  close(): void {}
}

/** A loop that has read 5 messages from its TUN, of which the sockets took 2. */
function blockedLoop() {
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
  const tun = {
    fd: 9,
    malformed: 0,
    options: 0,
    unknownOffload: 0,
    read: (vector: OutboundVector) => {
      vector.length = 5;
      return 0;
    },
  } as unknown as TunDevice;
  const node = new World().node({ address: { ip: [192, 0, 2, 1], port: 1 } });
  node.device.handleOutbound = () => {};
  node.aead.sealVector = () => {};
  const drops = new DropCounters();
  const loop = new PacketLoop({
    addon,
    tun,
    device: node.device,
    aead: node.aead,
    drops,
    clock: new Clock(),
    onGone: () => {},
    onEvents: () => {},
    onSocketsLost: () => {},
  });
  const narrow = new NarrowSockets(2);
  loop.useSockets(narrow as unknown as UdpSockets);
  polls.get(tun.fd)!(1);
  expect([narrow.sent, watched.get(tun.fd)]).toEqual([2, 0]);
  return { loop, drops, isTunRead: () => watched.get(tun.fd) === 1 };
}

test('they go out by the new sockets', () => {
  const { loop, drops, isTunRead } = blockedLoop();
  const sockets = new NarrowSockets(100);
  loop.useSockets(sockets as unknown as UdpSockets);
  expect([sockets.sent, isTunRead()]).toEqual([3, true]);
  expect(drops.entries()).toEqual([]);
  loop.close();
  expect(drops.entries()).toEqual([]);
});

test('they wait on if those are full too', () => {
  const { loop, drops, isTunRead } = blockedLoop();
  const sockets = new NarrowSockets(1);
  loop.useSockets(sockets as unknown as UdpSockets);
  expect([sockets.sent, isTunRead()]).toEqual([1, false]);
  loop.close();
  expect(drops.entries()).toEqual([['out_socket_closed', 2]]);
});

test('they are counted as dropped when there are no sockets any more', () => {
  const { loop, drops } = blockedLoop();
  loop.useSockets(undefined);
  expect(drops.entries()).toEqual([['out_socket_closed', 3]]);
  loop.close();
  expect(drops.entries()).toEqual([['out_socket_closed', 3]]);
});

test('what the kernel dropped before they were closed is counted, each time', () => {
  const { loop, drops } = blockedLoop();
  for (const lost of [2, 3]) {
    const sockets = new NarrowSockets(100);
    loop.useSockets(sockets as unknown as UdpSockets);
    sockets.lost = lost;
  }
  loop.close();
  expect(drops.entries()).toEqual([['in_socket_full', 5]]);
});
