/**
 * A route change in a virtual network of 10,000 connectors, from the rule that makes it to the deltas
 * of everybody, encoded as they go to their streams. The registry is in SQLite, as the edge's is; what
 * is left out is TLS and the sockets.
 *
 * Changes come one after the other; the figure is the time of one, p99.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MemoryStore } from '../src/control/memory-store.ts';
import type { ConnectorId, ReplicaId } from '../src/control/model.ts';
import { NetmapIndex } from '../src/control/netmap-index.ts';
import { openSqliteStore } from '../src/control/node/sqlite-store.ts';
import { createConnector } from '../src/control/registry/connectors.ts';
import type { RuleContext } from '../src/control/registry/draft.ts';
import { Registry } from '../src/control/registry/registry.ts';
import { enrolReplica } from '../src/control/registry/replicas.ts';
import { addRoute, removeRoute } from '../src/control/registry/routes.ts';
import { initializeRegistry } from '../src/control/registry/vnets.ts';
import { hashSecret, SECRET_SIZE } from '../src/control/secrets.ts';
import type { Store } from '../src/control/store.ts';
import type { Figure } from './options.ts';

const CONNECTORS = 10_000;
const CHANGES = 200;
/** p99, in seconds. */
const BUDGET = 2;

const context: RuleContext = {
  get now() {
    return Date.now();
  },
  newId: randomUUID,
};

export async function fanout10k(): Promise<Figure[]> {
  const directory = mkdtempSync(join(tmpdir(), 'causeway-fanout-'));
  const store = openSqliteStore(join(directory, 'registry.db'));
  try {
    await fill(store);
    const times = await measure(store);
    const ours = times.toSorted((a, b) => a - b)[Math.ceil(times.length * 0.99) - 1]! / 1_000;
    return [{ part: '', ours, unit: 's', budget: { most: BUDGET }, against: 'value' }];
  } finally {
    await store.close();
    rmSync(directory, { recursive: true });
  }
}

/** Makes the connectors, each with a replica and a route, in memory and copies them. */
async function fill(store: Store): Promise<void> {
  const memory = new MemoryStore();
  const registry = await Registry.open(memory, fail);
  const globalId = randomBytes(5);
  await registry.change((view) => initializeRegistry(view, { globalId }, context));
  for (let n = 0; n < CONNECTORS; n++) {
    const secret = randomBytes(SECRET_SIZE);
    const routes = [{ prefix: `10.${n >> 8}.${n & 0xff}.0/24` }];
    const { result } = await registry.change((view) =>
      createConnector(view, { name: `site-${n}`, secret, routes }, context),
    );
    const enrolment = {
      connector: result.connector.id,
      secret: result.secret,
      publicKey: randomBytes(32).toString('base64'),
      hostname: `gateway-${n}`,
      version: '0.0.0',
      credentialHash: hashSecret(randomUUID()),
      advertise: { prefixes: [] },
    };
    await registry.change((view) => enrolReplica(view, enrolment, context));
  }
  registry.close();
  const { entries } = await memory.list('');
  await store.commit(entries.map(({ key, value }) => ({ key, value })));
}

/** Milliseconds of each change. */
async function measure(store: Store): Promise<number[]> {
  const registry = await Registry.open(store, fail);
  const index = new NetmapIndex(registry.view, registry.takeHistory());
  const queues = new Map<ReplicaId, Buffer>();
  registry.onChange((events, revision) => {
    for (const { data, recipients } of index.update(events, revision).broadcasts) {
      const frame = Buffer.from(`id: ${revision}\nevent: delta\ndata: ${data}\n\n`);
      for (const id of recipients) queues.set(id, frame);
    }
  });
  const connectors = [...registry.view.connectors.keys()];
  const times: number[] = [];
  for (let i = 0; i < CHANGES; i++) {
    queues.clear();
    const start = performance.now();
    await change(registry, connectors[(i >> 1) % connectors.length]!, i);
    times.push(performance.now() - start);
    if (queues.size !== CONNECTORS) throw new Error(`only ${queues.size} replicas got a delta`);
  }
  registry.close();
  return times;
}

/** Adds a route to a connector, or takes away what was added before. */
async function change(registry: Registry, connector: ConnectorId, i: number): Promise<void> {
  const prefix = '192.168.0.0/24';
  const [added] = registry.view.routesAt(registry.view.head.defaultVnet, prefix).values();
  await registry.change((view) =>
    i % 2 === 0 ? addRoute(view, { connector, prefix }, context) : removeRoute(view, added!.id),
  );
}

function fail(error: unknown): never {
  throw error;
}
