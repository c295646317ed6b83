/** The addresses of edges from names, literals and what was kept, and which of them is in use. */
import { expect, test } from 'vitest';
import { formatEndpoint } from '../../../../src/gateway/endpoint-text.ts';
import { type AddressSource, EdgeEndpoints } from '../../../../src/gateway/mesh/edge-endpoints.ts';
import { edge } from './netmaps.ts';

function source(
  names: Record<string, readonly string[]>,
  unreachable: readonly string[] = [],
): AddressSource {
  return {
    lookUp: async (host) => names[host] ?? [],
    hasRoute: async (endpoint) => !unreachable.includes(formatEndpoint(endpoint)),
  };
}

const one = edge(1, 'edge.example:2408');

function inUse(endpoints: EdgeEndpoints, { id } = one): string | undefined {
  const { endpoint } = endpoints.of(id);
  return endpoint && formatEndpoint(endpoint);
}

test('all addresses of a name count, and the first with a route is used', async () => {
  const names = { 'edge.example': ['2001:db8::1', '192.0.2.1'] };
  const endpoints = new EdgeEndpoints({}, source(names, ['[2001:db8::1]:2408']));
  await endpoints.update([one]);
  expect(endpoints.of(one.id).all.map(formatEndpoint)).toEqual([
    '[2001:db8::1]:2408',
    '192.0.2.1:2408',
  ]);
  expect(inUse(endpoints)).toBe('192.0.2.1:2408');
  expect(endpoints.choiceOf(one.id).isOpen).toBe(true);
});

test('the one that works is kept over lookups, and comes first on disk', async () => {
  const names = { 'edge.example': ['192.0.2.1', '192.0.2.2'] };
  const endpoints = new EdgeEndpoints({}, source(names));
  await endpoints.update([one]);
  const sight = { lastHandshake: 0, address: undefined, peerRxBytes: 0, peerTxBytes: 0 };
  endpoints.choiceOf(one.id).expect(0, 0);
  expect(endpoints.choiceOf(one.id).look({ ...sight, now: 5_000 })).toBe('moved');
  await endpoints.update([one]);
  expect(inUse(endpoints)).toBe('192.0.2.2:2408');
  expect(endpoints.resolved).toEqual({ 'edge.example:2408': '192.0.2.2:2408 192.0.2.1:2408' });

  const restarted = new EdgeEndpoints(endpoints.resolved, source({}));
  await restarted.update([one]);
  expect(inUse(restarted)).toBe('192.0.2.2:2408');
});

test('several literals, one edge after the other, and edges that go', async () => {
  const two = edge(2, '192.0.2.3:1', '[2001:db8::3]:1');
  const endpoints = new EdgeEndpoints({ 'edge.example:2408': '192.0.2.1:2408' }, source({}));
  await endpoints.update([one, two]);
  expect(inUse(endpoints)).toBe('192.0.2.1:2408');
  expect(endpoints.choiceOf(one.id).isOpen).toBe(false);
  expect(inUse(endpoints, two)).toBe('192.0.2.3:1');
  await endpoints.update([two]);
  expect(endpoints.of(one.id)).toEqual({ endpoint: undefined, all: [] });
  expect(endpoints.resolved).toEqual({});
});

test("an API that is elsewhere than its relay is one of the edge's addresses, and kept on disk", async () => {
  const urls = ['https://api.example:8443', 'https://[2001:db8::9]', 'https://192.0.2.1'] as const;
  const apart = { ...one, urls: [...urls] };
  const names = { 'edge.example': ['192.0.2.1'], 'api.example': ['192.0.2.8'] };
  const endpoints = new EdgeEndpoints({}, source(names));
  await endpoints.update([apart]);
  const addresses = endpoints.addressesOf(one.id).map((address) => [...address].join('.'));
  expect(addresses).toEqual([
    '192.0.2.1',
    '192.0.2.8',
    '32.1.13.184.0.0.0.0.0.0.0.0.0.0.0.9',
    '192.0.2.1',
  ]);
  expect(endpoints.of(one.id).all.map(formatEndpoint)).toEqual(['192.0.2.1:2408']);
  const restarted = new EdgeEndpoints(endpoints.resolved, source({}));
  await restarted.update([apart]);
  expect(restarted.addressesOf(one.id)).toHaveLength(4);
  await restarted.update([]);
  expect(restarted.addressesOf(one.id)).toEqual([]);
});
