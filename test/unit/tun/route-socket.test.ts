/** Answers of kernels that the tests' own is not: one without IPv6, and one short of memory. */
import { constants } from 'node:os';
import { expect, test } from 'vitest';
import type { Addon } from '../../../src/native/addon.ts';
import { parsePrefix } from '../../../src/routing/prefix.ts';
import { NLMSG_DONE } from '../../../src/tun/route-numbers.ts';
import { RouteSocket } from '../../../src/tun/route-socket.ts';
import { RouteWriter } from '../../../src/tun/route-writer.ts';

const { EAFNOSUPPORT, EAGAIN, ENOBUFS } = constants.errno;

/** A socket that answers whatever it is asked with these, or with errors of the call. */
function answering(...answers: readonly (Uint8Array | number)[]): RouteSocket {
  let waiting: (Uint8Array | number)[] = [];
  const addon: Partial<Addon> = {
    openNetlink: () => 3,
    send: (_, { length }) => {
      waiting = [...answers];
      return length;
    },
    receive: (_, into) => {
      const next = waiting.shift();
      if (next === undefined) return -EAGAIN;
      if (typeof next === 'number') return -next;
      into.set(next);
      return next.length;
    },
  };
  return new RouteSocket(addon as Addon);
}

function done(errno = 0): Uint8Array {
  const bytes = new Uint8Array(20);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, bytes.length, true);
  view.setUint16(4, NLMSG_DONE, true);
  view.setInt32(16, -errno, true);
  return bytes;
}

/** A route of IPv4 in table 52000, as the kernel tells it. */
function route(): Uint8Array {
  const writer = new RouteWriter();
  writer.putRoute(parsePrefix('10.0.0.0/8')!, 52_000, 7, 1);
  return writer.take();
}

test('a kernel without IPv6 has no rules of it, and no routes', () => {
  expect(answering(done(EAFNOSUPPORT)).readRules(6)).toEqual([]);
  // Nobody answers for the family, so that all others do.
  expect(answering(route(), done()).readRoutes(6, 52_000)).toEqual([]);
  expect(answering(route(), done()).readRoutes(4, 52_000)).toHaveLength(1);
});

test('an answer that breaks off is none', () => {
  expect(() => answering(route()).readRoutes(4, 52_000)).toThrow('To read the routes');
});

test('where refusals were lost, routes are not taken for installed', async () => {
  const put = (socket: RouteSocket) => socket.putRoutes([parsePrefix('10.0.0.0/8')!], 52_000, 7);
  expect((await put(answering())).size).toBe(0);
  await expect(put(answering(ENOBUFS))).rejects.toThrow('ENOBUFS');
});
