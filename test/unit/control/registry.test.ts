/** Each rule of the registry, and that several processes may change one store. */
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { MemoryStore } from '../../../src/control/memory-store.ts';
import { meshAddresses } from '../../../src/control/mesh.ts';
import {
  type Connector,
  MAX_ROUTES,
  MAX_ROUTES_PER_CONNECTOR,
  type ReplicaId,
} from '../../../src/control/model.ts';
import {
  createConnector,
  deleteConnector,
  rotateJoinSecret,
  updateConnector,
} from '../../../src/control/registry/connectors.ts';
import { deleteEdge, putEdge } from '../../../src/control/registry/edges.ts';
import type { RegistryEvent } from '../../../src/control/registry/objects.ts';
import { Registry } from '../../../src/control/registry/registry.ts';
import {
  authenticateReplica,
  chooseServing,
  removeReplica,
} from '../../../src/control/registry/replicas.ts';
import {
  addRoute,
  advertiseRoutes,
  approveRoute,
  removeRoute,
  updateRoute,
} from '../../../src/control/registry/routes.ts';
import {
  authenticateToken,
  createToken,
  deleteToken,
} from '../../../src/control/registry/tokens.ts';
import {
  createVnet,
  deleteVnet,
  initializeRegistry,
  setDefaultVnet,
} from '../../../src/control/registry/vnets.ts';
import type { Store } from '../../../src/control/store.ts';
import type { ErrorCode } from '../../../src/errors.ts';
import { bytesOf, keyText, RegistryWorld, uuid } from './registry-world.ts';

// Many runs each; the machine may have other work.
vi.setConfig({ testTimeout: 60_000 });

let world: RegistryWorld;
beforeEach(async () => {
  world = await RegistryWorld.open();
});

const coded = (code: ErrorCode): unknown => expect.objectContaining({ code });
const route = (connector: string, prefix: string, more: object = {}): Promise<unknown> =>
  world.change((view) => addRoute(view, { connector, prefix, ...more }, world.context));

describe('virtual networks', () => {
  test('initializing twice changes nothing', async () => {
    const { revision } = world.view;
    await world.change((view) =>
      initializeRegistry(view, { globalId: bytesOf(9, 5) }, world.context),
    );
    expect(world.view.revision).toBe(revision);
    expect(world.view.head).toMatchObject({ meshIpv4: '100.96.0.0/12', meshIpv6: 'fd00::/48' });
  });

  test.each(['10.0.0.0/30', '100.96.0.1/12', 'fd00::/48', 'x', '0.0.0.0/0'])(
    '%s is no mesh range',
    async (meshIpv4) => {
      const registry = await Registry.open(new MemoryStore(), () => {});
      const input = { globalId: bytesOf(9, 5), meshIpv4 };
      const change = registry.change((view) => initializeRegistry(view, input, world.context));
      await expect(change).rejects.toEqual(coded('VALUE_INVALID'));
    },
  );

  test('are created, made the default, and deleted when empty and not the default', async () => {
    const lab = await world.change((view) => createVnet(view, { name: 'lab' }, world.context));
    await expect(
      world.change((view) => createVnet(view, { name: 'lab' }, world.context)),
    ).rejects.toEqual(coded('NAME_TAKEN'));
    await expect(world.change((view) => deleteVnet(view, 'default'))).rejects.toEqual(
      coded('VNET_IN_USE'),
    );
    await world.change((view) => setDefaultVnet(view, 'lab'));
    await world.connector('a');
    expect(world.view.findConnector('a')!.vnet).toBe(lab.result.id);
    await world.change((view) => setDefaultVnet(view, 'default'));
    await expect(world.change((view) => deleteVnet(view, 'lab'))).rejects.toEqual(
      coded('VNET_IN_USE'),
    );
    await world.change((view) => deleteConnector(view, 'a'));
    await world.change((view) => deleteVnet(view, 'lab'));
    await expect(world.change((view) => deleteVnet(view, 'lab'))).rejects.toEqual(
      coded('NOT_FOUND'),
    );
  });
});

describe('connectors', () => {
  test('get the next mesh IP, never one just freed', async () => {
    await world.connector('a');
    await world.connector('b');
    await world.change((view) => deleteConnector(view, 'b'));
    await world.connector('c');
    const mesh = (name: string): unknown =>
      meshAddresses(world.view.head, world.view.findConnector(name)!.meshIndex);
    expect(mesh('a')).toEqual({ ipv4: '100.96.0.1/32', ipv6: 'fd00::1/128' });
    expect(mesh('c')).toEqual({ ipv4: '100.96.0.3/32', ipv6: 'fd00::3/128' });
  });

  test('all mesh IPs taken', async () => {
    const store = new MemoryStore();
    const registry = await Registry.open(store, () => {});
    const { context } = world;
    const input = { globalId: bytesOf(1, 5), meshIpv4: '10.9.0.0/24' };
    await registry.change((view) => initializeRegistry(view, input, context));
    const create = (n: number): Promise<unknown> =>
      registry.change((view) =>
        createConnector(view, { name: `c${n}`, secret: bytesOf(n, 24) }, context),
      );
    for (let n = 1; n <= 254; n++) await create(n);
    await expect(create(255)).rejects.toEqual(coded('MESH_FULL'));
    await registry.change((view) => deleteConnector(view, 'c7'));
    await create(256);
    expect(registry.view.findConnector('c256')!.meshIndex).toBe(7);
  });

  test.each(['', '-a', 'a-', 'A', 'a.b', 'a'.repeat(64), 'ä', 'a b', 'a\n'])(
    '%j is no name',
    async (name) => {
      await expect(world.connector(name)).rejects.toEqual(coded('VALUE_INVALID'));
    },
  );

  test('are created with their routes or not at all', async () => {
    await world.connector('a', { routes: [{ prefix: '10.1.0.0/16' }] });
    const routes = [{ prefix: '10.2.0.0/16' }, { prefix: '10.1.0.0/16' }];
    await expect(world.connector('b', { routes })).rejects.toEqual(coded('ROUTE_TAKEN'));
    expect(world.view.connectors.size).toBe(1);
    expect(world.view.routes.size).toBe(1);
  });

  test('nobody is called as another’s id', async () => {
    const { id } = await world.connector('a');
    await expect(world.connector(id)).rejects.toEqual(coded('NAME_TAKEN'));
  });

  test('are renamed; the name before is free', async () => {
    const { id } = await world.connector('a');
    await world.connector('b');
    await expect(world.change((view) => updateConnector(view, 'a', { name: 'b' }))).rejects.toEqual(
      coded('NAME_TAKEN'),
    );
    await world.change((view) => updateConnector(view, 'a', { name: 'c', comment: 'moved' }));
    expect(world.view.findConnector('c')).toMatchObject({ id, comment: 'moved' });
    expect(world.view.findConnector('a')).toBeUndefined();
    await world.connector('a');
  });

  test('deleted, they take routes and replicas along', async () => {
    const a = await world.connector('a', { routes: [{ prefix: '10.1.0.0/16' }] });
    const [one, two] = [await world.replica(a, 1), await world.replica(a, 2, ['10.2.0.0/16'])];
    await world.change((view) => chooseServing(view, a.id, (id) => id === two.id, 5));
    expect(world.view.servingReplica(a.id)).toEqual(two);
    const { events } = await world.change((view) => deleteConnector(view, 'a'));
    expect(events).toHaveLength(6);
    expect(world.view.replicas.size + world.view.routes.size + world.view.serving.size).toBe(0);
    expect(world.view.byRelayId(one.relayId)).toBeUndefined();
  });
});

describe('routes', () => {
  test.each<[ErrorCode, string]>([
    ['ROUTE_PREFIX', '10.1.0.0/33'],
    ['ROUTE_PREFIX', 'x'],
    ['ROUTE_PREFIX', '010.0.0.0/8'],
    ['ROUTE_HOST_BITS', '10.1.2.3/16'],
    ['ROUTE_DEFAULT', '0.0.0.0/0'],
    ['ROUTE_DEFAULT', '::/0'],
    ['ROUTE_RESERVED', '100.96.0.0/12'],
    ['ROUTE_RESERVED', '100.100.1.0/24'],
    ['ROUTE_RESERVED', 'fd00::/64'],
    ['ROUTE_RESERVED', '127.0.0.0/8'],
    ['ROUTE_RESERVED', '224.0.0.1'],
    ['ROUTE_RESERVED', 'fe80::/64'],
    ['ROUTE_RESERVED', '0.0.0.0/8'],
  ])('%s: %s', async (code, prefix) => {
    await world.connector('a');
    await expect(route('a', prefix)).rejects.toEqual(coded(code));
  });

  test('a prefix around the mesh range, and a default route that is meant', async () => {
    await world.connector('a');
    await route('a', '100.64.0.0/10');
    await route('a', '0.0.0.0/0', { allowDefault: true });
    await route('a', '2001:DB8:0::/48');
    expect([...world.view.routes.values()].map(({ prefix }) => prefix)).toEqual([
      '100.64.0.0/10',
      '0.0.0.0/0',
      '2001:db8::/48',
    ]);
  });

  test('an equal prefix needs another priority or another network; a nested one does not', async () => {
    await world.change((view) => createVnet(view, { name: 'lab' }, world.context));
    await world.connector('a');
    await world.connector('b');
    await world.connector('c', { vnet: 'lab' });
    await route('a', '10.1.0.0/16');
    await expect(route('b', '10.1.0.0/16')).rejects.toEqual(coded('ROUTE_TAKEN'));
    await expect(route('a', '10.1.0.0/16', { priority: 5 })).rejects.toEqual(coded('ROUTE_TAKEN'));
    await route('b', '10.1.0.0/16', { priority: 200 });
    await route('b', '10.1.2.0/24');
    await route('c', '10.1.0.0/16');
    await expect(route('c', '10.3.0.0/16', { vnet: 'default' })).rejects.toEqual(
      coded('VALUE_INVALID'),
    );
    const second = [...world.view.routes.values()].find(({ priority }) => priority === 200)!;
    await expect(
      world.change((view) => updateRoute(view, second.id, { priority: 100 })),
    ).rejects.toEqual(coded('ROUTE_TAKEN'));
    await world.change((view) => updateRoute(view, second.id, { priority: 50, comment: 'first' }));
    await expect(
      world.change((view) => updateRoute(view, second.id, { comment: 'two\nlines' })),
    ).rejects.toEqual(coded('VALUE_INVALID'));
    await world.change((view) => removeRoute(view, second.id));
    await expect(world.change((view) => removeRoute(view, second.id))).rejects.toEqual(
      coded('NOT_FOUND'),
    );
  });

  test('what is advertised waits for approval, unless it is inside an approved prefix', async () => {
    const a = await world.connector('a', { autoApprove: ['10.0.0.0/8'] });
    const replica = await world.replica(a, 1);
    const { result } = await world.change((view) =>
      advertiseRoutes(
        view,
        replica.id,
        { prefixes: ['10.1.0.0/16', '192.168.0.0/24'] },
        world.context,
      ),
    );
    expect(result).toEqual({ approved: ['10.1.0.0/16'], pending: ['192.168.0.0/24'] });
    const waiting = [...world.view.routes.values()].find(({ approved }) => !approved)!;
    await world.change((view) => approveRoute(view, waiting.id));
    const { revision } = world.view;
    await world.change((view) => approveRoute(view, waiting.id));
    expect(world.view.revision).toBe(revision);
    await world.change((view) =>
      advertiseRoutes(view, replica.id, { prefixes: ['192.168.0.0/24'] }, world.context),
    );
    expect([...world.view.routes.values()]).toMatchObject([{ prefix: '192.168.0.0/24' }]);
  });

  test('what waits is in nobody’s way; the first approved has it', async () => {
    const [a, b] = [await world.connector('a'), await world.connector('b')];
    await world.replica(a, 1, ['10.1.0.0/16']);
    await world.replica(b, 2, ['10.1.0.0/16']);
    const [first, second] = [...world.view.routes.values()];
    await world.change((view) => approveRoute(view, second!.id));
    await expect(world.change((view) => approveRoute(view, first!.id))).rejects.toEqual(
      coded('ROUTE_TAKEN'),
    );
    await world.change((view) => updateRoute(view, first!.id, { priority: 7 }));
    await world.change((view) => approveRoute(view, first!.id));
  });

  test('an advertised route stays as long as one replica stands for it', async () => {
    const a = await world.connector('a');
    const [one, two] = [await world.replica(a, 1, ['10.1.0.0/16']), await world.replica(a, 2)];
    const offer = (id: typeof one.id, prefixes: string[]): Promise<unknown> =>
      world.change((view) => advertiseRoutes(view, id, { prefixes }, world.context));
    await offer(two.id, ['10.1.0.0/16']);
    await offer(one.id, []);
    expect([...world.view.routes.values()]).toMatchObject([{ advertisedBy: [two.id] }]);
    await world.change((view) => removeReplica(view, two.id));
    expect(world.view.routes.size).toBe(0);
  });

  test('as many as there may be are replaced by as many others in one change', async () => {
    const a = await world.connector('a');
    const b = await world.connector('b');
    const prefixes = (net: number, count: number): string[] =>
      Array.from({ length: count }, (_, i) => `${net}.${i >> 8}.${i & 255}.0/24`);
    const one = await world.replica(a, 1, prefixes(10, MAX_ROUTES_PER_CONNECTOR));
    const advertise = (id: ReplicaId, offer: string[]): Promise<unknown> =>
      world.change((view) => advertiseRoutes(view, id, { prefixes: offer }, world.context));
    await advertise(one.id, prefixes(11, MAX_ROUTES_PER_CONNECTOR));
    expect(new Set([...world.view.routes.values()].map(({ prefix }) => prefix))).toEqual(
      new Set(prefixes(11, MAX_ROUTES_PER_CONNECTOR)),
    );
    // What another replica stands for, or the operator, stays and counts.
    const two = await world.replica(a, 2, ['11.0.0.0/24']);
    await route('a', '11.0.1.0/24');
    const others = prefixes(12, MAX_ROUTES_PER_CONNECTOR - 2);
    await expect(advertise(one.id, [...others, '13.0.0.0/8'])).rejects.toEqual(
      coded('LIMIT_REACHED'),
    );
    await advertise(one.id, others);
    expect(world.view.routesOf(a.id).size).toBe(MAX_ROUTES_PER_CONNECTOR);
    await expect(advertise(two.id, ['11.0.0.0/24', '13.0.0.0/8'])).rejects.toEqual(
      coded('LIMIT_REACHED'),
    );
    // The registry's own limit counts the whole change too.
    const all = world.view.routes;
    vi.spyOn(all, 'size', 'get').mockReturnValue(MAX_ROUTES - 1);
    await expect(world.replica(b, 3, ['14.0.0.0/8', '15.0.0.0/8'])).rejects.toEqual(
      coded('LIMIT_REACHED'),
    );
    await world.replica(b, 3, ['14.0.0.0/8']);
  });

  test('the operator takes an advertised route over; it stays when withdrawn', async () => {
    const a = await world.connector('a');
    const one = await world.replica(a, 1, ['10.1.0.0/16']);
    await route('a', '10.1.0.0/16', { comment: 'ours' });
    expect([...world.view.routes.values()]).toMatchObject([
      { source: 'operator', approved: true, advertisedBy: [one.id] },
    ]);
    await world.change((view) => advertiseRoutes(view, one.id, { prefixes: [] }, world.context));
    expect([...world.view.routes.values()]).toMatchObject([{ comment: 'ours', advertisedBy: [] }]);
  });
});

describe('enrolment', () => {
  const enrol = (secret: string, key = 1): Promise<unknown> =>
    world.replica({ id: world.view.findConnector('a')!.id, secret }, key);

  test('a wrong secret, a replaced one, a deleted connector', async () => {
    const a = await world.connector('a');
    const wrong = a.secret.replace(/.$/, (last) => (last === 'A' ? 'B' : 'A'));
    for (const secret of [wrong, 'x', '', '2.x', `2${a.secret.slice(1)}`]) {
      await expect(enrol(secret)).rejects.toEqual(coded('JOIN_TOKEN_WRONG'));
    }
    const { result } = await world.change((view) => rotateJoinSecret(view, 'a', bytesOf(77, 24)));
    await expect(enrol(a.secret)).rejects.toEqual(coded('JOIN_TOKEN_REVOKED'));
    await enrol(result.secret);
    await world.change((view) => deleteConnector(view, 'a'));
    await expect(world.replica({ ...a, secret: result.secret }, 2)).rejects.toEqual(
      coded('JOIN_TOKEN_WRONG'),
    );
  });

  test('past the limit', async () => {
    const a = await world.connector('a', { maxReplicas: 2 });
    const first = await world.replica(a, 1);
    await world.replica(a, 2);
    await expect(world.replica(a, 3)).rejects.toEqual(coded('REPLICA_LIMIT'));
    await world.change((view) => removeReplica(view, first.id));
    await world.replica(a, 3);
  });

  test('again with the same key: the same replica, a new credential', async () => {
    const a = await world.connector('a', { maxReplicas: 1 });
    const first = await world.replica(a, 1);
    const again = await world.replica(a, 1);
    expect(again).toMatchObject({ id: first.id, relayId: first.relayId, created: first.created });
    expect(again.credentialHash).not.toBe(first.credentialHash);
    expect(world.view.replicas.size).toBe(1);
  });

  test('with the key of another connector’s replica, or of an edge', async () => {
    const [a, b] = [await world.connector('a'), await world.connector('b')];
    await world.replica(a, 1);
    await expect(world.replica(b, 1)).rejects.toEqual(coded('KEY_TAKEN'));
    const edge = {
      name: 'edge',
      publicKey: keyText(50),
      endpoints: ['203.0.113.1:51820'],
      urls: ['https://edge.example'],
      tlsPin: null,
    };
    await world.change((view) => putEdge(view, edge, world.context));
    await expect(world.replica(b, 50)).rejects.toEqual(coded('KEY_TAKEN'));
    await expect(
      world.change((view) => putEdge(view, { ...edge, publicKey: keyText(1) }, world.context)),
    ).rejects.toEqual(coded('KEY_TAKEN'));
  });

  test('a replica is known by its credential', async () => {
    const a = await world.connector('a');
    const replica = await world.replica(a, 1);
    const credential = `credential-1-${world.now}`;
    expect(authenticateReplica(world.view, credential)).toEqual(replica);
    expect(authenticateReplica(world.view, `${credential}x`)).toBeUndefined();
    await world.change((view) => removeReplica(view, replica.id));
    expect(authenticateReplica(world.view, credential)).toBeUndefined();
  });

  test('the serving replica: the oldest, until it is not bound and another is', async () => {
    const a = await world.connector('a');
    const replicas = [
      await world.replica(a, 3),
      await world.replica(a, 2),
      await world.replica(a, 1),
    ];
    const choose = async (...bound: number[]): Promise<number> => {
      const ids = bound.map((i) => replicas[i]!.id);
      await world.change((view) => chooseServing(view, a.id, (id) => ids.includes(id), world.now));
      return replicas.findIndex(({ id }) => id === world.view.servingReplica(a.id)!.id);
    };
    expect(await choose()).toBe(0);
    expect(await choose(1, 2)).toBe(1);
    expect(await choose(0, 1)).toBe(1);
    expect(await choose()).toBe(1);
    expect(await choose(0, 2)).toBe(0);
    await world.change((view) => removeReplica(view, replicas[0]!.id));
    expect(world.view.serving.size).toBe(0);
    expect(world.view.servingReplica(a.id)).toEqual(replicas[1]);
  });
});

test('tokens: by their secret, until they expire or are deleted', async () => {
  const input = { name: 't', role: 'admin', expires: 5_000, secret: 's'.repeat(32) } as const;
  const { result } = await world.change((view) => createToken(view, input, world.context));
  expect(JSON.stringify(result)).not.toContain(input.secret);
  expect(authenticateToken(world.view, input.secret, 4_999)).toEqual(result);
  expect(authenticateToken(world.view, input.secret, 5_000)).toBeUndefined();
  expect(authenticateToken(world.view, 'x', 0)).toBeUndefined();
  await expect(world.change((view) => createToken(view, input, world.context))).rejects.toEqual(
    coded('NAME_TAKEN'),
  );
  await world.change((view) => deleteToken(view, 't'));
  expect(authenticateToken(world.view, input.secret, 0)).toBeUndefined();
});

test('an edge that starts again changes nothing, or what is new', async () => {
  const input = {
    name: 'edge',
    publicKey: keyText(50),
    endpoints: ['[2001:db8::1]:51820', 'edge.example:51820'],
    urls: ['https://edge.example:8443'],
    tlsPin: 'a'.repeat(64),
  };
  const put = (more: object): Promise<unknown> =>
    world.change((view) => putEdge(view, { ...input, ...more }, world.context));
  await put({});
  const { revision } = world.view;
  await put({});
  expect(world.view.revision).toBe(revision);
  await put({ endpoints: ['203.0.113.1:51820'] });
  expect(world.view.findEdge('edge')).toMatchObject({
    endpoints: ['203.0.113.1:51820'],
    relayId: 1,
  });
  await expect(put({ endpoints: ['nowhere'] })).rejects.toEqual(coded('VALUE_INVALID'));
  // Known by its key, it may take another name, unless that is another's.
  const { id } = world.view.findEdge('edge')!;
  await put({ name: 'south', publicKey: keyText(51) });
  await expect(put({ name: 'south' })).rejects.toEqual(coded('NAME_TAKEN'));
  await put({ name: 'north' });
  expect(world.view.findEdge('edge')).toBeUndefined();
  expect(world.view.findEdge('north')).toMatchObject({ id, relayId: 1, publicKey: keyText(50) });
  await put({ name: 'edge' });
  await world.change((view) => deleteEdge(view, 'south'));
  await world.change((view) => deleteEdge(view, 'edge'));
  expect(world.view.edges.size).toBe(0);
});

describe('several processes on one store', () => {
  test('see each other’s changes, and no two get one number or name', async () => {
    const others = await Promise.all([
      RegistryWorld.open(world.store),
      RegistryWorld.open(world.store),
    ]);
    const worlds = [world, ...others];
    for (const [i, some] of worlds.entries()) some.ids = 1_000 * (i + 1);
    const created = await Promise.all(
      worlds.flatMap((some, i) =>
        Array.from({ length: 5 }, (_, n) => some.connector(`c${i}-${n}`)),
      ),
    );
    const taken = await Promise.allSettled(worlds.map((some) => some.connector('same')));
    expect(taken.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    await new Promise((resolve) => setImmediate(resolve));
    for (const { view } of worlds) {
      const connectors = [...view.connectors.values()];
      expect(connectors).toHaveLength(created.length + 1);
      expect(new Set(connectors.map(({ meshIndex }) => meshIndex)).size).toBe(connectors.length);
    }
  });

  test('a change says what it did itself, listeners hear of everything once', async () => {
    const other = await RegistryWorld.open(world.store);
    other.ids = 1_000;
    const heard: RegistryEvent[] = [];
    world.registry.onChange((events) => heard.push(...events));
    await other.connector('b');
    const { events, revision } = await world.change((view) =>
      createConnector(view, { name: 'a', secret: bytesOf(1, 24) }, world.context),
    );
    expect(revision).toBe(world.view.revision);
    expect(events).toMatchObject([{ kind: 'connector', before: undefined, after: { name: 'a' } }]);
    const names = heard.filter(({ kind }) => kind === 'connector').map(({ after }) => after);
    expect((names as Connector[]).map(({ name }) => name)).toEqual(['b', 'a']);
  });

  test('who missed more deletions than are remembered reads everything anew', async () => {
    const forgetful = new MemoryStore(2);
    const asleep: Store = {
      session: 'asleep',
      get: (key) => forgetful.get(key),
      list: (prefix) => forgetful.list(prefix),
      changes: (prefix, revision) => forgetful.changes(prefix, revision),
      commit: (writes) => forgetful.commit(writes),
      watch: () => () => {},
      probe: async () => {},
      close: () => forgetful.close(),
    };
    const awake = await RegistryWorld.open(forgetful);
    for (const name of ['a', 'b', 'c', 'd', 'e']) await awake.connector(name);
    const slow = await RegistryWorld.open(asleep);
    slow.ids = 1_000;
    for (const name of ['a', 'b', 'c', 'd'])
      await awake.change((view) => deleteConnector(view, name));
    await slow.connector('f');
    expect([...slow.view.connectors.values()].map(({ name }) => name)).toEqual(['e', 'f']);
  });

  test('an entry that cannot be read is an error, not a guess', async () => {
    const broken: [string, string][] = [
      ['registry/vnet/x', '{'],
      [`registry/vnet/${uuid(9)}`, '{"id":1}'],
      ['registry/gadget/1', '{}'],
    ];
    for (const [key, value] of broken) {
      const store = new MemoryStore();
      await store.commit([{ key, value }]);
      await expect(Registry.open(store, () => {})).rejects.toMatchObject({
        code: expect.stringMatching(/^STORE_/),
      });
    }
  });
});
