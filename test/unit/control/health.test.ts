/** Health of connectors: every state, since when, why; and over a restart. */
import { beforeEach, expect, test } from 'vitest';
import type { TrafficFault } from '../../../src/control/api.ts';
import { HealthTracker } from '../../../src/control/health.ts';
import type { EdgeId, Replica } from '../../../src/control/model.ts';
import { deleteConnector } from '../../../src/control/registry/connectors.ts';
import { deleteEdge, putEdge } from '../../../src/control/registry/edges.ts';
import { removeReplica } from '../../../src/control/registry/replicas.ts';
import { keyText, RegistryWorld } from './registry-world.ts';

let world: RegistryWorld;
let health: HealthTracker;
let edges: EdgeId[];
let joined: Awaited<ReturnType<RegistryWorld['connector']>>;

beforeEach(async () => {
  world = await RegistryWorld.open();
  health = new HealthTracker(world.view);
  world.registry.onChange((events) => health.handleRegistry(events, world.now));
  edges = [];
  for (const name of ['edge-1', 'edge-2']) edges.push(await edge(name));
  joined = await world.connector('a');
});

async function edge(name: string): Promise<EdgeId> {
  const input = { name, publicKey: keyText(90 + world.now), urls: [], tlsPin: null };
  const endpoints = ['203.0.113.1:51820'];
  const put = await world.change((view) => putEdge(view, { ...input, endpoints }, world.context));
  return put.result.id;
}

const state = (): unknown => health.healthOf(joined.id);
const bind = (replica: Replica, i: number, now: number): void =>
  health.handleBound(replica.id, edges[i]!, now);

test('from INACTIVE to HEALTHY and DOWN', async () => {
  expect(state()).toEqual({ state: 'INACTIVE', since: null, why: 'No replica has joined yet.' });
  const replica = await world.replica(joined, 1);
  expect(state()).toMatchObject({ state: 'INACTIVE', since: null });
  bind(replica, 0, 5_000);
  expect(state()).toEqual({
    state: 'DEGRADED',
    since: 5_000,
    why: 'host-1 is not bound to edge-2.',
  });
  bind(replica, 1, 5_100);
  bind(replica, 1, 5_200);
  expect(state()).toMatchObject({ state: 'HEALTHY', since: 5_100 });
  health.handleUnbound(replica.id, edges[0]!, 'silent for 70 s', 6_000);
  health.handleUnbound(replica.id, edges[1]!, 'silent for 70 s', 6_001);
  health.handleUnbound(replica.id, edges[1]!, 'silent for 70 s', 6_002);
  expect(state()).toEqual({
    state: 'DOWN',
    since: 6_001,
    why: 'host-1 is bound to no edge (silent for 70 s).',
  });
  expect(health.presenceOf(replica.id)).toEqual({ edges: [], since: 6_001 });
  const changes = health.pollChanges().map(({ after }) => after.state);
  expect(changes).toEqual(['DEGRADED', 'HEALTHY', 'DEGRADED', 'DOWN']);
  expect(health.pollChanges()).toEqual([]);
});

test('one of two replicas is away: DEGRADED, until it is back or removed', async () => {
  const [one, two] = [await world.replica(joined, 1), await world.replica(joined, 2)];
  for (const i of [0, 1]) bind(one, i, 5_000);
  expect(state()).toMatchObject({ state: 'DEGRADED', why: 'host-2 has never reached an edge.' });
  for (const i of [0, 1]) bind(two, i, 5_500);
  expect(state()).toMatchObject({ state: 'HEALTHY', since: 5_500 });
  for (const i of [0, 1]) health.handleUnbound(one.id, edges[i]!, 'gone', 6_000);
  expect(state()).toMatchObject({ state: 'DEGRADED', since: 6_000 });
  await world.change((view) => removeReplica(view, one.id));
  expect(state()).toMatchObject({ state: 'HEALTHY', since: world.now });
});

test('an edge more, an edge less', async () => {
  const replica = await world.replica(joined, 1);
  for (const i of [0, 1]) bind(replica, i, 5_000);
  const third = await edge('edge-3');
  expect(state()).toMatchObject({ state: 'DEGRADED', why: 'host-1 is not bound to edge-3.' });
  await world.change((view) => deleteEdge(view, third));
  expect(state()).toMatchObject({ state: 'HEALTHY' });
  await world.change((view) => deleteConnector(view, 'a'));
  expect(health.counts()).toEqual({ HEALTHY: 0, DEGRADED: 0, DOWN: 0, INACTIVE: 0 });
});

test('after a restart who was up is DOWN, not INACTIVE', async () => {
  const replica = await world.replica(joined, 1);
  const other = await world.connector('b');
  await world.replica(other, 2);
  bind(replica, 0, 5_000);
  const restarted = new HealthTracker(world.view, health.save());
  expect(restarted.healthOf(joined.id)).toMatchObject({ state: 'DOWN', since: 5_000 });
  expect(restarted.healthOf(other.id)).toMatchObject({ state: 'INACTIVE', since: null });
  expect(restarted.pollChanges()).toEqual([]);
});

const fault = (connector: TrafficFault['connector'], why = 'No answer.'): TrafficFault => {
  return { about: connector === null ? 'site' : 'prefix', connector, subject: '10.2.0.0/24', why };
};

test('a replica that says that traffic goes one way degrades its connector, with the cause', async () => {
  const replica = await world.replica(joined, 1);
  for (const i of [0, 1]) bind(replica, i, 5_000);
  health.handleFaults(replica.id, [fault(null, 'No way back.')], 6_000);
  expect(state()).toEqual({ state: 'DEGRADED', since: 6_000, why: 'host-1: No way back.' });
  health.handleFaults(replica.id, [fault(null, 'A firewall.')], 7_000);
  expect(state()).toEqual({ state: 'DEGRADED', since: 6_000, why: 'host-1: A firewall.' });
  health.handleFaults(replica.id, [], 8_000);
  expect(state()).toMatchObject({ state: 'HEALTHY', since: 8_000 });
  // Of one that is bound nowhere that is what is said.
  health.handleFaults(replica.id, [fault(null)], 9_000);
  for (const edge of edges) health.handleUnbound(replica.id, edge, 'silent', 9_500);
  expect(state()).toEqual({
    state: 'DOWN',
    since: 9_500,
    why: expect.not.stringContaining('answer'),
  });
});

test('a fault of a connector that is down is its own', async () => {
  const other = await world.connector('b');
  const [replica, far] = [await world.replica(joined, 1), await world.replica(other, 2)];
  for (const i of [0, 1]) {
    bind(replica, i, 5_000);
    bind(far, i, 5_000);
  }
  health.handleFaults(replica.id, [fault(other.id)], 6_000);
  expect(state()).toMatchObject({ state: 'DEGRADED', since: 6_000 });
  for (const edge of edges) health.handleUnbound(far.id, edge, 'silent', 7_000);
  expect(health.healthOf(other.id).state).toBe('DOWN');
  expect(state()).toMatchObject({ state: 'HEALTHY', since: 7_000 });
  bind(far, 0, 8_000);
  expect(state()).toMatchObject({ state: 'DEGRADED', since: 8_000 });
  // The one who says it is deleted, and what it said goes with it.
  await world.change((view) => removeReplica(view, replica.id));
  for (const edge of edges) health.handleUnbound(far.id, edge, 'silent', 9_000);
  expect(state()).toMatchObject({ state: 'INACTIVE' });
});
