/**
 * The registry against a naive model under random operations; every prefix of its commits is a valid
 * registry, also for who opens it anew; and netmaps: each replica's whole netmap is the sum of the
 * deltas that it was sent, whatever it missed meanwhile.
 */
import fc from 'fast-check';
import { expect, test, vi } from 'vitest';
import { computeNetmap } from '../../../src/control/compute-netmap.ts';
import { MemoryStore } from '../../../src/control/memory-store.ts';
import { maxMeshIndex } from '../../../src/control/mesh.ts';
import type { Connector, Replica, Route } from '../../../src/control/model.ts';
import type { Netmap } from '../../../src/control/netmap.ts';
import { applyDelta, diffNetmap } from '../../../src/control/netmap-delta.ts';
import { NetmapIndex } from '../../../src/control/netmap-index.ts';
import { decodeDelta, decodeNetmap } from '../../../src/control/netmap-text.ts';
import type { AddressOwners } from '../../../src/control/policy/address-owners.ts';
import { contains, numericAddress } from '../../../src/control/policy/address-set.ts';
import { ownersOfNetmap } from '../../../src/control/policy/compile.ts';
import {
  createConnector,
  deleteConnector,
  updateConnector,
} from '../../../src/control/registry/connectors.ts';
import { putEdge } from '../../../src/control/registry/edges.ts';
import { setPolicy } from '../../../src/control/registry/policies.ts';
import { ownersInVnet } from '../../../src/control/registry/policy-in-force.ts';
import { Registry } from '../../../src/control/registry/registry.ts';
import { chooseServing, removeReplica } from '../../../src/control/registry/replicas.ts';
import {
  addRoute,
  advertiseRoutes,
  approveRoute,
  removeRoute,
  updateRoute,
} from '../../../src/control/registry/routes.ts';
import type { RegistryView } from '../../../src/control/registry/view.ts';
import { createVnet, deleteVnet } from '../../../src/control/registry/vnets.ts';
import { CausewayError } from '../../../src/errors.ts';
import { bytesOf, keyText, RegistryWorld } from './registry-world.ts';

// Many runs each; the machine may have other work.
vi.setConfig({ testTimeout: 60_000 });

const DEFAULT = '0.0.0.0/0';
const PREFIXES = [
  ...['10.0.0.0/8', '10.1.0.0/16', '10.1.2.0/24', '2001:db8::/32', '192.168.0.0/24'],
  DEFAULT,
];
const NAMES = ['a', 'b', 'c', 'd'];

const name = fc.constantFrom(...NAMES);
const vnet = fc.constantFrom('default', 'lab');
const prefix = fc.constantFrom(...PREFIXES);
const priority = fc.constantFrom(100, 200);
const pick = fc.nat({ max: 20 });
const operation = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('create' as const), name, vnet }) },
  fc.record({ kind: fc.constant('delete' as const), name }),
  fc.record({ kind: fc.constant('rename' as const), name, to: name }),
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('enrol' as const), name, key: pick }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('leave' as const), pick }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('add' as const),
      name,
      prefix,
      priority,
      allowDefault: fc.boolean(),
    }),
  },
  fc.record({ kind: fc.constant('remove' as const), pick }),
  fc.record({ kind: fc.constant('update' as const), pick, priority }),
  fc.record({ kind: fc.constant('approve' as const), pick }),
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('advertise' as const),
      pick,
      prefixes: fc.subarray(PREFIXES),
      allowDefault: fc.boolean(),
      breakout: fc.option(
        fc.record({
          connectors: fc.shuffledSubarray(NAMES, { minLength: 1 }),
          families: fc.constant([4 as const]),
          fallback: fc.constantFrom('refuse' as const, 'own' as const),
        }),
        { nil: undefined },
      ),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('serve' as const),
      name,
      bound: fc.nat({ max: 255 }),
    }),
  },
  fc.record({ kind: fc.constant('edge' as const), key: fc.integer({ min: 90, max: 92 }) }),
  fc.record({ kind: fc.constant('vnet' as const), create: fc.boolean() }),
  fc.record({
    kind: fc.constant('policy' as const),
    vnet,
    from: fc.option(name),
    verdict: fc.constantFrom('allow', 'deny'),
  }),
);
type Operation = typeof operation extends fc.Arbitrary<infer T> ? T : never;

function nth<T>(values: Iterable<T>, n: number): T | undefined {
  const all = [...values];
  return all[n % all.length];
}

async function perform(world: RegistryWorld, op: Operation): Promise<void> {
  const { view, context } = world;
  const replica = 'pick' in op ? nth(view.replicas.values(), op.pick) : undefined;
  const route = 'pick' in op ? nth(view.routes.values(), op.pick) : undefined;
  switch (op.kind) {
    case 'create': {
      const autoApprove = op.name === 'a' ? ['10.1.0.0/16'] : [];
      const input = { name: op.name, vnet: op.vnet, autoApprove, maxReplicas: 3 };
      await world.change((v) => createConnector(v, { ...input, secret: bytesOf(1, 24) }, context));
      return;
    }
    case 'delete':
      await world.change((v) => deleteConnector(v, op.name));
      return;
    case 'rename':
      await world.change((v) => updateConnector(v, op.name, { name: op.to }));
      return;
    case 'enrol': {
      const connector = view.findConnector(op.name);
      const secret = `1.${Buffer.from(bytesOf(1, 24)).toString('base64url')}`;
      if (connector !== undefined) await world.replica({ id: connector.id, secret }, op.key);
      return;
    }
    case 'leave':
      if (replica !== undefined) await world.change((v) => removeReplica(v, replica.id));
      return;
    case 'add': {
      const { prefix, priority, allowDefault } = op;
      const input = { connector: op.name, prefix, priority, allowDefault };
      await world.change((v) => addRoute(v, input, context));
      return;
    }
    case 'remove':
      if (route !== undefined) await world.change((v) => removeRoute(v, route.id));
      return;
    case 'update':
      if (route !== undefined) await world.change((v) => updateRoute(v, route.id, op));
      return;
    case 'approve':
      if (route !== undefined) await world.change((v) => approveRoute(v, route.id));
      return;
    case 'advertise':
      if (replica === undefined) return;
      await world.change((v) => advertiseRoutes(v, replica.id, op, context));
      return;
    case 'serve': {
      const connector = view.findConnector(op.name);
      if (connector === undefined) return;
      const isBound = (id: string): boolean => ((op.bound >> (id.charCodeAt(35) % 8)) & 1) === 1;
      await world.change((v) => chooseServing(v, connector.id, isBound, world.now));
      return;
    }
    case 'edge': {
      const endpoints = [`203.0.113.${op.key}:51820`];
      const input = { name: 'edge', publicKey: keyText(op.key), endpoints, urls: [], tlsPin: null };
      await world.change((v) => putEdge(v, input, context));
      return;
    }
    case 'vnet':
      await world.change((v) =>
        op.create ? createVnet(v, { name: 'lab' }, context) : deleteVnet(v, 'lab'),
      );
      return;
    case 'policy': {
      const rules = op.from === null ? [] : [{ action: 'allow', from: op.from }];
      const text = JSON.stringify({ default: op.verdict, rules });
      const input = { vnet: op.vnet, text, author: 'local', connections: [] };
      await world.change((v) => setPolicy(v, input, context));
    }
  }
}

/** Performs it; a coded refusal is an answer too. */
async function attempt(world: RegistryWorld, op: Operation): Promise<string | undefined> {
  try {
    await perform(world, op);
    return undefined;
  } catch (error) {
    if (error instanceof CausewayError) return error.code;
    throw error;
  }
}

/** What must be so of any registry. */
function checkInvariants(view: RegistryView): void {
  const unique = (values: unknown[]): void => expect(new Set(values).size).toBe(values.length);
  const connectors = [...view.connectors.values()];
  const nodes = [...view.replicas.values(), ...view.edges.values()];
  const routes = [...view.routes.values()];
  expect(view.vnets.has(view.head.defaultVnet)).toBe(true);
  unique([...view.vnets.values()].map((v) => v.name));
  unique(connectors.map((c) => c.name));
  unique(connectors.map((c) => c.meshIndex));
  unique(nodes.map((node) => node.relayId));
  unique(nodes.map((node) => node.publicKey));
  unique(routes.map((r) => `${r.connector} ${r.prefix}`));
  const carried = routes.filter((r) => r.approved && r.prefix !== DEFAULT);
  unique(carried.map((r) => `${r.vnet} ${r.prefix} ${r.priority}`));
  for (const c of connectors) {
    expect(view.vnets.has(c.vnet)).toBe(true);
    expect(c.meshIndex).toBeLessThanOrEqual(maxMeshIndex(view.head));
    expect(view.replicasOf(c.id).size).toBeLessThanOrEqual(c.maxReplicas);
  }
  for (const owned of [...view.replicas.values(), ...routes, ...view.serving.values()]) {
    expect(view.connectors.get(owned.connector)?.vnet).toBe(owned.vnet);
  }
  for (const s of view.serving.values()) {
    expect(view.replicas.get(s.replica)?.connector).toBe(s.connector);
  }
  for (const r of routes) {
    for (const id of r.advertisedBy) expect(view.replicas.get(id)?.connector).toBe(r.connector);
    if (r.source === 'advertised') expect(r.advertisedBy.length).toBeGreaterThan(0);
  }
}

function contents(view: RegistryView): unknown {
  const sorted = (objects: Iterable<object>): string[] =>
    [...objects].map((object) => JSON.stringify(object)).sort();
  const policies = [...view.vnets.keys()].flatMap((id) => [...view.policiesOf(id).values()]);
  return [
    view.head,
    sorted(policies),
    view.vnets,
    view.connectors,
    view.replicas,
    view.routes,
    view.serving,
  ].map((part) => (part instanceof Map ? sorted(part.values()) : part));
}

/** The same rules, read again without indexes: what it says of an operation before it is performed. */
function expectedOf(view: RegistryView, op: Operation): string | undefined {
  const connectors = [...view.connectors.values()];
  const routes = [...view.routes.values()];
  const replicas = [...view.replicas.values()];
  const named = (text: string): Connector | undefined => connectors.find((c) => c.name === text);
  const isTaken = (of: Connector | Route, at: string, cost: number, except?: Route): boolean =>
    at !== DEFAULT &&
    routes.some(
      (r) =>
        r.approved && r.vnet === of.vnet && r.prefix === at && r.priority === cost && r !== except,
    );
  const ofConnector = (c: Connector): Replica[] => replicas.filter((r) => r.connector === c.id);
  const lab = [...view.vnets.values()].find((v) => v.name === 'lab');
  switch (op.kind) {
    case 'create':
      if (named(op.name)) return 'NAME_TAKEN';
      return op.vnet === 'lab' && lab === undefined ? 'NOT_FOUND' : undefined;
    case 'delete':
      return named(op.name) ? undefined : 'NOT_FOUND';
    case 'rename':
      if (!named(op.name)) return 'NOT_FOUND';
      return op.to !== op.name && named(op.to) ? 'NAME_TAKEN' : undefined;
    case 'enrol': {
      const connector = named(op.name);
      const holder = replicas.find((r) => r.publicKey === keyText(op.key));
      if (connector === undefined || holder?.connector === connector.id) return undefined;
      if (holder !== undefined) return 'KEY_TAKEN';
      return ofConnector(connector).length >= 3 ? 'REPLICA_LIMIT' : undefined;
    }
    case 'add': {
      const connector = named(op.name);
      if (connector === undefined) return 'NOT_FOUND';
      if (op.prefix === DEFAULT && !op.allowDefault) return 'ROUTE_DEFAULT';
      const own = routes.find((r) => r.connector === connector.id && r.prefix === op.prefix);
      const refused = own?.source === 'operator' || isTaken(connector, op.prefix, op.priority, own);
      return refused ? 'ROUTE_TAKEN' : undefined;
    }
    case 'update':
    case 'approve': {
      const route = nth(routes, op.pick);
      if (route === undefined || (op.kind === 'approve' && route.approved)) return undefined;
      if (op.kind === 'update' && !route.approved) return undefined;
      const cost = op.kind === 'update' ? op.priority : route.priority;
      return isTaken(route, route.prefix, cost, route) ? 'ROUTE_TAKEN' : undefined;
    }
    case 'advertise': {
      const replica = nth(replicas, op.pick);
      if (replica === undefined) return undefined;
      if (op.prefixes.includes(DEFAULT) && !op.allowDefault) return 'ROUTE_DEFAULT';
      const connector = connectors.find((c) => c.id === replica.connector)!;
      const refused = op.prefixes
        .filter((p) => !routes.some((r) => r.connector === connector.id && r.prefix === p))
        .filter(() => connector.autoApprove.length > 0)
        .some((p) => p.startsWith('10.1.') && isTaken(connector, p, 100));
      return refused ? 'ROUTE_TAKEN' : undefined;
    }
    case 'vnet':
      if (op.create) return lab ? 'NAME_TAKEN' : undefined;
      if (lab === undefined) return 'NOT_FOUND';
      return connectors.some((c) => c.vnet === lab.id) ? 'VNET_IN_USE' : undefined;
    case 'policy': {
      const network = [...view.vnets.values()].find((v) => v.name === op.vnet);
      if (network === undefined) return 'NOT_FOUND';
      if (op.from === null || named(op.from)?.vnet === network.id) return undefined;
      return 'POLICY_UNKNOWN';
    }
    default:
      return undefined;
  }
}

const operations = fc.array(operation, { minLength: 30, maxLength: 60 });
/** At each step, which replicas hear nothing. */
const masks = fc.array(fc.constantFrom(0, 0, 1, 2, 5, 0xff), { minLength: 60, maxLength: 60 });

test('any operations: accepted and refused as the model says; every prefix is a valid registry', async () => {
  await fc.assert(
    fc.asyncProperty(operations, async (ops) => {
      const store = new MemoryStore();
      const world = await RegistryWorld.open(store);
      for (const op of ops) {
        const expected = expectedOf(world.view, op);
        const before = contents(world.view);
        expect([op, await attempt(world, op)]).toEqual([op, expected]);
        if (expected !== undefined) expect(contents(world.view)).toEqual(before);
        checkInvariants(world.view);
        // A crash here: whoever opens the store finds the same.
        const anew = await Registry.open(store, () => {});
        expect(contents(anew.view)).toEqual(contents(world.view));
        anew.close();
      }
    }),
    { numRuns: 60 },
  );
}, 60_000);

/** The policy means the same to a gateway as to the edge: whose each address is. */
function expectSameOwners(view: RegistryView, netmap: Netmap): void {
  const there = ownersInVnet(view, netmap.self.vnet);
  const here = ownersOfNetmap(netmap);
  const mesh = Array.from({ length: 8 }, (_, i) => `100.96.0.${i + 1}`);
  for (const text of ['10.0.0.1', '10.1.0.1', '10.1.2.1', '192.168.0.1', '192.0.2.1', ...mesh]) {
    const address = numericAddress(text)!;
    const sorted = (owners: AddressOwners): unknown[] => [
      text,
      ...owners.ownersOf(address).toSorted(),
      contains(owners.internet, address),
    ];
    expect(sorted(here)).toEqual(sorted(there));
  }
}

/** Without the revision, which a replica only hears of when something concerns it. */
function withoutRevision(netmap: Netmap | undefined): unknown {
  return netmap && { ...netmap, revision: 0 };
}

function decoded<T>(result: { ok: true; value: T } | { ok: false; message: string }): T {
  if (!result.ok) throw new Error(result.message);
  return result.value;
}

test('any operations: a whole netmap is the sum of its deltas, also for who was away', async () => {
  await fc.assert(
    fc.asyncProperty(operations, masks, async (ops, away) => {
      const world = await RegistryWorld.open();
      let index = new NetmapIndex(world.view, world.registry.takeHistory());
      const received = new Map<string, Netmap>();
      const restarted = new Set<string>();
      world.registry.onChange((events, revision) => {
        const update = index.update(events, revision);
        for (const id of update.gone) received.delete(id);
        const reached = new Set<string>();
        for (const { data, recipients } of update.broadcasts) {
          const delta = decoded(decodeDelta(data));
          for (const id of recipients) {
            expect(reached.has(id)).toBe(false);
            reached.add(id);
            const netmap = received.get(id);
            if (netmap && !restarted.has(id)) received.set(id, applyDelta(netmap, delta));
          }
        }
      });
      for (const [i, op] of ops.entries()) {
        await attempt(world, op);
        if (i % 7 === 6) {
          // The edge restarts: it knows what the store remembers.
          const anew = await Registry.open(world.store, () => {});
          index = new NetmapIndex(world.view, anew.takeHistory());
          anew.close();
        }
        for (const [n, id] of [...world.view.replicas.keys()].entries()) {
          const before = received.get(id);
          if (((away[i] ?? 0) >> n) & 1) {
            restarted.add(id);
            continue;
          }
          if (before === undefined || restarted.delete(id)) {
            const start = index.start(id, before?.revision);
            if (start?.event === 'netmap')
              received.set(id, decoded(decodeNetmap([...start.data].join(''))));
            else if (start)
              received.set(id, applyDelta(before!, decoded(decodeDelta([...start.data].join('')))));
          }
          const whole = computeNetmap(world.view, id)!;
          expect(withoutRevision(received.get(id))).toEqual(withoutRevision(whole));
          expect(decoded(decodeNetmap([...index.full(id)!].join('')))).toEqual(whole);
          if (whole.policy !== undefined) expectSameOwners(world.view, whole);
          const delta = before && diffNetmap(before, whole);
          const summed = delta ? applyDelta(before, delta) : (before ?? whole);
          expect(withoutRevision(summed)).toEqual(withoutRevision(whole));
        }
      }
    }),
    { numRuns: 60 },
  );
}, 60_000);

// Found by the test above, seed -762818091.
test('who was away over a restart of the edge hears that it carries the prefixes now', async () => {
  const world = await RegistryWorld.open();
  const a = await world.connector('a');
  const first = await world.replica(a, 1);
  const second = await world.replica(a, 2);
  const peer = await world.replica(await world.connector('b'), 3);
  const known = computeNetmap(world.view, second.id)!;
  const seen = computeNetmap(world.view, peer.id)!;
  expect(known.self.serving).toBe(false);
  await world.change((view) => removeReplica(view, first.id));
  const anew = await Registry.open(world.store, () => {});
  const index = new NetmapIndex(anew.view, anew.takeHistory());
  anew.close();
  for (const [id, before] of [
    [second.id, known],
    [peer.id, seen],
  ] as const) {
    const { event, data } = index.start(id, before.revision)!;
    const text = [...data].join('');
    const now =
      event === 'netmap'
        ? decoded(decodeNetmap(text))
        : applyDelta(before, decoded(decodeDelta(text)));
    expect(withoutRevision(now)).toEqual(withoutRevision(computeNetmap(world.view, id)));
  }
});

/** One gateway of `a`, and what an index that is just made sends it for what it missed. */
async function missedBy(
  change: (
    world: RegistryWorld,
    b: Awaited<ReturnType<RegistryWorld['connector']>>,
  ) => Promise<unknown>,
): Promise<Netmap> {
  const world = await RegistryWorld.open();
  const b = await world.connector('b', { routes: [{ prefix: '10.1.0.0/16' }] });
  const { id } = await world.replica(
    await world.connector('a', { routes: [{ prefix: '10.0.0.0/8' }] }),
    1,
  );
  const before = computeNetmap(world.view, id)!;
  const anew = await Registry.open(world.store, () => {});
  const index = new NetmapIndex(world.view, anew.takeHistory());
  anew.close();
  world.registry.onChange((events, revision) => void index.update(events, revision));
  await change(world, b);
  const start = index.start(id, before.revision);
  const delta = decoded(decodeDelta([...start!.data].join('')));
  const after = applyDelta(before, delta);
  expect(withoutRevision(after)).toEqual(withoutRevision(computeNetmap(world.view, id)));
  return after;
}

const DENY = JSON.stringify({ default: 'deny', rules: [{ action: 'allow', to: 'a' }] });
const deny = (world: RegistryWorld): Promise<unknown> => {
  const input = { vnet: 'default', text: DENY, author: 'local', connections: [] };
  return world.change((view) => setPolicy(view, input, world.context));
};

// Found by chance: the text before was looked up when the change was there already.
test('a policy that is set before anybody has asked an index that is new is told to who resumes', async () => {
  expect((await missedBy(deny)).policy).toMatchObject({ version: 1, default: 'deny' });
});

test('addresses of a connector that nobody has joined as are its own, also inside those of another', async () => {
  const address = numericAddress('10.1.2.3')!;
  const netmap = await missedBy(deny);
  const [inner, ...others] = ownersOfNetmap(netmap).ownersOf(address);
  expect([inner, others]).toEqual([netmap.reserved![0]!.connector, []]);
  expect(netmap.reserved).toHaveLength(1);
  // Somebody joins: it is a peer now.
  const joined = await missedBy(async (world, b) => {
    await deny(world);
    await world.replica(b, 2);
  });
  expect(joined.reserved).toBeUndefined();
  expect(ownersOfNetmap(joined).ownersOf(address)).toEqual([joined.peers[0]!.connector]);
});
