/** What the watch has the gateway do when an edge's address in use does not answer. */
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { bytesToHex } from '../../../../src/bytes.ts';
import type { NetmapEdge } from '../../../../src/control/netmap.ts';
import { formatEndpoint, parseEndpoint } from '../../../../src/gateway/endpoint-text.ts';
import { EdgeEndpoints } from '../../../../src/gateway/mesh/edge-endpoints.ts';
import { EdgeWatch, LOOK_AT_EDGES } from '../../../../src/gateway/mesh/edge-watch.ts';
import { changeBetween, translateNetmap } from '../../../../src/gateway/mesh/netmap-translation.ts';
import { keyFromBase64 } from '../../../../src/keys.ts';
import { FakeTunnel } from '../fake-tunnel.ts';
import { edge, keyText, netmap } from './netmaps.ts';

const [A, B] = ['192.0.2.1:2408', '192.0.2.2:2408'] as const;

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

async function watched(...addresses: string[]) {
  const map = netmap({ edges: [edge(1, ...addresses)], peers: [{ n: 2 }] });
  const endpoints = new EdgeEndpoints({}, { lookUp: async () => [], hasRoute: async () => true });
  await endpoints.update(map.edges);
  const tunnel = new FakeTunnel('test');
  let wanted = translateNetmap(map, (id) => endpoints.of(id));
  await tunnel.apply(changeBetween(undefined, wanted)!);
  const shaken: string[][] = [];
  let held = Promise.resolve();
  /** What is to be done takes until the function returned is called. */
  const hold = (): (() => void) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    held = promise;
    return resolve;
  };
  const act = async (edges: readonly NetmapEdge[]): Promise<void> => {
    const next = translateNetmap(map, (id) => endpoints.of(id));
    const change = changeBetween(wanted, next);
    wanted = next;
    if (change !== undefined) await tunnel.apply(change);
    await held;
    shaken.push(edges.map(({ name }) => name));
  };
  const log = pino({ level: 'silent' });
  const watch = new EdgeWatch({ tunnel, endpoints, edges: () => map.edges, act, log });
  const endpointOf = (n: number): string => {
    const key = keyFromBase64(keyText(n))!;
    const peer = tunnel.snapshot().peers.find(({ publicKey }) => {
      return bytesToHex(publicKey) === bytesToHex(key);
    });
    return formatEndpoint(peer!.endpoint!);
  };
  return { watch, tunnel, map, shaken, endpointOf, hold };
}

test('the edge and the peers behind it move to the next address, and stay where it answers', async () => {
  const { watch, tunnel, map, shaken, endpointOf } = await watched(A, B);
  watch.expect(map.edges, Date.now());
  await vi.advanceTimersByTimeAsync(4 * LOOK_AT_EDGES);
  expect(shaken).toEqual([['edge-1']]);
  expect([endpointOf(2_001), endpointOf(2)]).toEqual([B, B]);
  tunnel.statistics.set(bytesToHex(keyFromBase64(keyText(2_001))!), {
    endpoint: parseEndpoint(B, () => undefined)!,
    lastHandshake: Date.now(),
    rxBytes: 100,
    txBytes: 100,
  });
  await vi.advanceTimersByTimeAsync(30 * LOOK_AT_EDGES);
  expect(shaken).toHaveLength(1);
  expect(endpointOf(2)).toBe(B);
  watch.close();
  expect(vi.getTimerCount()).toBe(0);
});

test('an address has its time from when it is shaken hands with, however long that took', async () => {
  const { watch, map, shaken, hold } = await watched(A, B);
  watch.expect(map.edges, Date.now());
  const release = hold();
  await vi.advanceTimersByTimeAsync(20 * LOOK_AT_EDGES);
  release();
  await vi.advanceTimersByTimeAsync(2 * LOOK_AT_EDGES);
  expect(shaken).toHaveLength(1);
  await vi.advanceTimersByTimeAsync(2 * LOOK_AT_EDGES);
  expect(shaken).toHaveLength(2);
  watch.close();
});

test('with a single address there is nothing to do', async () => {
  const { watch, map, shaken } = await watched(A);
  watch.expect(map.edges, Date.now());
  await vi.advanceTimersByTimeAsync(60 * LOOK_AT_EDGES);
  expect(shaken).toEqual([]);
  watch.close();
});
