/**
 * An edge with 1,000 connectors of 10 routes each, as a process of its own, and a second process with
 * a netmap stream over TLS for each connector. The registry is filled before the edge starts.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Process } from '../lab/process.ts';
import { EdgeApi } from '../src/cli/edge-request.ts';
import { computeNetmap } from '../src/control/compute-netmap.ts';
import { MemoryStore } from '../src/control/memory-store.ts';
import type { RouteId } from '../src/control/model.ts';
import type { Netmap } from '../src/control/netmap.ts';
import { openSqliteStore } from '../src/control/node/sqlite-store.ts';
import { createConnector } from '../src/control/registry/connectors.ts';
import { Registry } from '../src/control/registry/registry.ts';
import { enrolReplica } from '../src/control/registry/replicas.ts';
import { hashSecret, SECRET_SIZE } from '../src/control/secrets.ts';
import { createBearer } from '../src/edge/bearer.ts';
import { initializeEdge } from '../src/edge/initialize.ts';
import { ruleContext } from '../src/edge/services.ts';
import type { ReaderSettings } from './programs/netmap-readers.ts';

const CONNECTORS = 1_000;
const ROUTES_OF_ONE = 10;

interface Filled {
  readonly route: RouteId;
  /** Of the replicas, one of each connector. */
  readonly credentials: readonly string[];
  /** Of the first replica and of another, with nobody but the first as peer. */
  readonly netmaps: readonly Netmap[];
}

const ROOT = join(import.meta.dirname, '..');

export class LoadedEdge implements AsyncDisposable {
  readonly api: EdgeApi;
  readonly edge: Process;
  /** One route of the first connector. */
  readonly route: RouteId;
  readonly #filled: Filled;
  readonly #port: number;
  readonly #directory: string;
  #readers: Process | undefined;

  private constructor(directory: string, edge: Process, port: number, filled: Filled) {
    this.#directory = directory;
    this.edge = edge;
    this.#port = port;
    this.#filled = filled;
    this.route = filled.route;
    this.api = new EdgeApi({ socketPath: join(directory, 'edge.sock') });
  }

  static async open(): Promise<LoadedEdge> {
    const directory = mkdtempSync(join(tmpdir(), 'causeway-bench-'));
    const change = { listen: { host: '127.0.0.1', port: 0 }, relayPort: 0, public: ['127.0.0.1'] };
    await initializeEdge(directory, change);
    const filled = await fill(join(directory, 'registry.db'));
    const child = spawn(join(ROOT, 'bin/connector'), ['edge', 'run', '--data', directory], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, LOG_LEVEL: 'info' },
    });
    const edge = new Process(child, 'edge');
    const [, port] = await edge.line(/"port":(\d+).*the edge is up/, 60);
    return new LoadedEdge(directory, edge, Number(port), filled);
  }

  /**
   * Opens a stream for every replica; resolves when all are open and have what they asked for.
   *
   * @param whole the whole netmap first, as on a first start; otherwise as resumed
   */
  async connect(whole: boolean): Promise<Process> {
    const program = join(import.meta.dirname, 'programs/netmap-readers.ts');
    const child: ChildProcess = spawn(process.execPath, [program], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const readers = new Process(child, 'readers');
    this.#readers = readers;
    const { credentials, netmaps } = this.#filled;
    const settings: ReaderSettings = {
      // The first one's own connector is the one that changes.
      readers: credentials.map((credential, i) => ({ credential, netmap: i === 0 ? 0 : 1 })),
      netmaps,
      port: this.#port,
      resumed: !whole,
    };
    readers.write(`${JSON.stringify(settings)}\n`);
    await readers.line(/^ready$/, 120);
    return readers;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#readers?.stop();
    await this.edge.stop();
    rmSync(this.#directory, { recursive: true });
  }
}

/** In memory, and copied then: a commit to the disk for each would take most of the time. */
async function fill(path: string): Promise<Filled> {
  const store = openSqliteStore(path);
  const memory = new MemoryStore();
  await memory.commit((await store.list('')).entries.map(({ key, value }) => ({ key, value })));
  const registry = await Registry.open(memory, () => {});
  const credentials: string[] = [];
  for (let n = 0; n < CONNECTORS; n++) {
    const secret = new Uint8Array(randomBytes(SECRET_SIZE));
    const routes = Array.from({ length: ROUTES_OF_ONE }, (_, k) => {
      const number = n * ROUTES_OF_ONE + k;
      return { prefix: `10.${number >> 8}.${number & 255}.0/24` };
    });
    const { result } = await registry.change((view) =>
      createConnector(view, { name: `site-${n}`, secret, routes }, ruleContext(Date.now())),
    );
    const credential = createBearer('replica');
    credentials.push(credential);
    const enrolment = {
      connector: result.connector.id,
      secret: result.secret,
      publicKey: randomBytes(32).fill(0, 31).toString('base64'),
      hostname: `gateway-${n}`,
      version: '0.0.0',
      credentialHash: hashSecret(credential),
      advertise: { prefixes: [] },
    };
    await registry.change((view) => enrolReplica(view, enrolment, ruleContext(Date.now())));
  }
  const { view } = registry;
  const [first, second] = [view.findConnector('site-0')!, view.findConnector('site-1')!];
  const [route] = [...view.routesOf(first.id).values()];
  const netmaps = [first, second].map(({ id }) => {
    const netmap = computeNetmap(view, view.servingReplica(id)!.id)!;
    const peers = netmap.peers.filter(({ connector }) => connector === first.id);
    return { ...netmap, revision: 0, peers };
  });
  registry.close();
  const { entries } = await memory.list('');
  await store.commit(entries.map(({ key, value }) => ({ key, value })));
  await store.close();
  return { route: route!.id, credentials, netmaps };
}
