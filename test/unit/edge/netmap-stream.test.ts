/** The netmap stream over TLS: full, deltas, resumption, the end; and readers that are too slow. */
import { x25519 } from '@noble/curves/ed25519.js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Netmap } from '../../../src/control/netmap.ts';
import { applyDelta } from '../../../src/control/netmap-delta.ts';
import { decodeDelta, decodeNetmap } from '../../../src/control/netmap-text.ts';
import { connectorViewSchema, routeViewSchema } from '../../../src/control/operator-api.ts';
import { createBearer } from '../../../src/edge/bearer.ts';
import { EdgeUnderTest, type Joined, until } from './edge-under-test.ts';
import { EventReader } from './event-reader.ts';

let edge: EdgeUnderTest;
let berlin: Joined;
let paris: Joined;
beforeAll(async () => {
  edge = await EdgeUnderTest.start();
  berlin = await edge.join({ name: 'berlin', routes: ['10.1.0.0/16'] });
  paris = await edge.join({ name: 'paris', routes: ['10.2.0.0/16'] });
});
afterAll(() => edge.stop());

async function open(replica: Joined, lastEventId?: string): Promise<EventReader> {
  const response = await edge.open('GET', '/v1/netmap', {
    token: replica.credential,
    headers: lastEventId === undefined ? {} : { 'last-event-id': lastEventId },
  });
  expect(response.statusCode).toBe(200);
  expect(response.headers['content-type']).toBe('text/event-stream');
  return new EventReader(response);
}

/** Of an event's id. */
function epochOf({ id }: { readonly id: string | undefined }): string {
  return id!.slice(0, id!.indexOf('.'));
}

function netmapOf(data: unknown): Netmap {
  const decoded = decodeNetmap(JSON.stringify(data));
  if (!decoded.ok) throw new Error(decoded.message);
  return decoded.value;
}

function withDelta(netmap: Netmap, data: unknown): Netmap {
  const decoded = decodeDelta(JSON.stringify(data));
  if (!decoded.ok) throw new Error(decoded.message);
  return applyDelta(netmap, decoded.value);
}

function addRoute(prefix: string, connector: string) {
  return edge.admin('POST', '/v1/routes', routeViewSchema, { prefix, connector });
}

describe('one reader', () => {
  test('gets the whole netmap, then what changes', async () => {
    const reader = await open(berlin);
    const first = (await reader.next())!;
    expect(first.event).toBe('netmap');
    let netmap = netmapOf(first.data);
    expect(first.id).toBe(`${epochOf(first)}.${netmap.revision}`);
    expect(netmap.self.name).toBe('berlin');
    expect(netmap.edges).toHaveLength(1);
    expect(netmap.peers).toMatchObject([{ name: 'paris', prefixes: [{ prefix: '10.2.0.0/16' }] }]);
    await addRoute('10.3.0.0/16', 'paris');
    const delta = (await reader.next())!;
    expect(delta.event).toBe('delta');
    netmap = withDelta(netmap, delta.data);
    expect(netmap.peers[0]!.prefixes.map(({ prefix }) => prefix)).toContain('10.3.0.0/16');
    expect(delta.id).toBe(`${epochOf(first)}.${netmap.revision}`);
    reader.close();
  });

  test('that was away gets only what it missed', async () => {
    const reader = await open(berlin);
    const { data, id } = (await reader.next())!;
    const netmap = netmapOf(data);
    reader.close();
    await addRoute('10.4.0.0/16', 'berlin');
    const again = await open(berlin, id);
    const delta = (await again.next())!;
    expect(delta.event).toBe('delta');
    const routes = withDelta(netmap, delta.data).self.routes.map(({ prefix }) => prefix);
    expect(routes).toContain('10.4.0.0/16');
    again.close();
  });

  test('with a netmap from the future, of another history, or none, gets the whole one', async () => {
    const current = await open(berlin);
    const { id } = (await current.next())!;
    current.close();
    const [epoch, revision] = id!.split('.');
    const others = [`${epoch}.${1e12}`, `${epoch}.0`, `${epoch}.-1`, `x${epoch}.${revision}`];
    for (const other of [...others, `${revision}`, `.${revision}`, '', 'x']) {
      const reader = await open(berlin, other);
      expect((await reader.next())!.event).toBe('netmap');
      reader.close();
    }
  });

  test('of another virtual network hears nothing of this one', async () => {
    await edge.call('POST', '/v1/vnets', { local: true, body: { name: 'lab' } });
    const lab = await edge.join({ name: 'lab', vnet: 'lab', routes: ['10.1.0.0/16'] });
    const reader = await open(lab);
    const first = netmapOf((await reader.next())!.data);
    expect(first.peers).toEqual([]);
    await addRoute('10.5.0.0/16', 'berlin');
    await addRoute('10.6.0.0/16', 'lab');
    const next = (await reader.next())!;
    expect(JSON.stringify(next.data)).toContain('10.6.0.0/16');
    expect(JSON.stringify(next.data)).not.toContain('10.5.0.0/16');
    reader.close();
  });

  test('that opens a second stream ends its first', async () => {
    const first = await open(paris);
    await first.next();
    const second = await open(paris);
    await second.next();
    expect(await first.next()).toBeUndefined();
    second.close();
  });
});

test('a deleted connector: its stream ends with `gone`, and the relay forgets it', async () => {
  const doomed = await edge.join({ name: 'doomed' });
  const { relayId, credential, replica } = doomed;
  const reader = await open(doomed);
  await reader.next();
  await edge.call('DELETE', '/v1/connectors/doomed', { local: true });
  const gone = (await reader.next())!;
  expect(gone).toMatchObject({ event: 'gone', data: { code: 'CONNECTOR_GONE', replica } });
  expect(await reader.next()).toBeUndefined();
  await until(() => !edge.relay.replicas.has(relayId));
  // Who comes later, or only after a restart, is told as well; who does not say who he is, is not.
  const path = `/v1/netmap?replica=${replica}`;
  const refused = await edge.call('GET', path, { token: credential });
  expect([refused.status, refused.json.code]).toEqual([410, 'CONNECTOR_GONE']);
  expect((await edge.call('GET', path)).status).toBe(401);
  expect((await edge.call('GET', '/v1/netmap', { token: credential })).status).toBe(401);
});

test('a credential that was replaced: its stream ends at once, and nobody is gone', async () => {
  const { joinToken } = await edge.create({ name: 'replaced', routes: ['10.77.0.0/16'] });
  const privateKey = x25519.utils.randomSecretKey();
  const before = await edge.enrol(joinToken, { privateKey });
  const old = await open(before);
  expect((await old.next())!.event).toBe('netmap');
  const after = await edge.enrol(joinToken, { privateKey });
  expect(after.replica).toBe(before.replica);
  await addRoute('10.78.0.0/16', 'replaced');
  expect(await old.next()).toBeUndefined();
  const path = `/v1/netmap?replica=${before.replica}`;
  const refused = await edge.call('GET', path, { token: before.credential });
  expect([refused.status, refused.json.code]).toEqual([401, 'UNAUTHORIZED']);
  // What does not concern the credential leaves the stream as it is.
  const reader = await open(after);
  await reader.next();
  await addRoute('10.79.0.0/16', 'replaced');
  expect((await reader.next())!.event).toBe('delta');
  reader.close();
});

test('a credential that the edge does not know is not one of a deleted replica', async () => {
  const path = `/v1/netmap?replica=${berlin.replica}`;
  const refused = await edge.call('GET', path, { token: createBearer('replica') });
  expect([refused.status, refused.json.code]).toEqual([401, 'UNAUTHORIZED']);
});

test('two machines with one identity: the health says so, and the log', async () => {
  const { credential, relayId, replica } = await edge.join({ name: 'copied' });
  edge.relay.bind(relayId);
  const health = async () =>
    (await edge.admin('GET', '/v1/connectors/copied', connectorViewSchema)).health;
  const connect = async (instance: string): Promise<void> => {
    const path = `/v1/netmap?instance=${instance}`;
    await new EventReader(await edge.open('GET', path, { token: credential })).next();
  };
  for (const run of ['restart-1', 'restart-2', 'restart-2', 'restart-3']) await connect(run);
  expect((await health()).state).toBe('HEALTHY');
  for (const run of ['one-machine', 'another-one', 'one-machine', 'another-one'])
    await connect(run);
  const { state, why } = await health();
  expect(state).toBe('DEGRADED');
  expect(why).toMatch(/^gw runs on two machines at once, .* \(seen at 127\.0\.0\.1\)/);
  expect(edge.logged.filter((line) => line.includes('copies of one identity:'))).toHaveLength(1);
  // And the machine that has the stream now is told.
  const path = '/v1/netmap?instance=one-machine';
  const reader = new EventReader(await edge.open('GET', path, { token: credential }));
  expect((await reader.next())!.event).toBe('netmap');
  const told = (await reader.next())!;
  expect(told).toMatchObject({ event: 'twins', data: { replica, addresses: ['127.0.0.1'] } });
  reader.close();
});

test('many changes at once arrive in order, and as their sum', async () => {
  const reader = await open(berlin);
  let netmap = netmapOf((await reader.next())!.data);
  const prefixes = Array.from({ length: 200 }, (_, i) => `172.16.${i}.0/24`);
  await Promise.all(prefixes.map((prefix) => addRoute(prefix, 'paris')));
  const last = `172.16.199.0/24`;
  while (!netmap.peers.some((peer) => peer.prefixes.some(({ prefix }) => prefix === last))) {
    const { data, event } = (await reader.next())!;
    expect(event).toBe('delta');
    expect(data.revision).toBeGreaterThan(netmap.revision);
    netmap = withDelta(netmap, data);
  }
  const fresh = await open(berlin);
  expect(netmapOf((await fresh.next())!.data).peers).toEqual(netmap.peers);
  fresh.close();
  reader.close();
}, 30_000);
