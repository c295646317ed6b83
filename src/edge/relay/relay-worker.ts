/**
 * The relay's worker: owns the bindings, the edge's own WireGuard device, the sockets and the loop.
 * Commands come from the main thread; see relay-messages.ts.
 */
import { getRandomValues } from 'node:crypto';
import { once } from 'node:events';
import { parentPort } from 'node:worker_threads';
import { Clock } from '../../clock.ts';
import { PairCounters } from '../../control/relay/pair-counters.ts';
import { DEFAULT_RELAY_LIMITS, RelayCore } from '../../control/relay/relay-core.ts';
import { RelayDropCounters } from '../../control/relay/relay-drops.ts';
import { DropCounters } from '../../drops.ts';
import { loadAddon } from '../../native/addon.ts';
import { OpensslAead } from '../../native/openssl-aead.ts';
import { OpensslPrimitives } from '../../native/openssl-primitives.ts';
import { SocketError, UdpSockets } from '../../udp/udp-sockets.ts';
import { EndpointTable, type VectorAead } from '../../vector.ts';
import { Device, SCRATCH_ENDPOINTS, SLOTS_PER_PEER } from '../../wireguard/device.ts';
import { formatEndpoint, readEndpoint } from '../../wireguard/endpoint-record.ts';
import { PeerStatistics } from '../../wireguard/peer-statistics.ts';
import { selfTest } from '../../wireguard/self-test.ts';
import { Binder } from './binder.ts';
import { Heartbeat } from './heartbeat.ts';
import type { BindingEnd } from './relay.ts';
import { RelayLoop } from './relay-loop.ts';
import type {
  BindingChange,
  RelayCommand,
  RelayReport,
  RelayWorkerOptions,
} from './relay-messages.ts';
import { ReplicaTable } from './replica-table.ts';
import { RestoredReplicas } from './restored-replicas.ts';

if (parentPort === null) throw new Error('the relay runs in a worker thread');
const port = parentPort;
const report = (message: RelayReport): void => port.postMessage(message);

const addon = loadAddon();
const random = (into: Uint8Array): void => {
  getRandomValues(into);
};

/** In what OpenSSL differs from noble; undefined if it is used. */
const refusal = selfTest(
  (n) => new OpensslAead(addon, n),
  () => new OpensslPrimitives(addon),
);
/** Loaded where it is used. */
const noble =
  refusal === undefined
    ? undefined
    : {
        ...(await import('../../wireguard/noble-aead.ts')),
        ...(await import('../../wireguard/noble-primitives.ts')),
      };

// All that takes its time and needs no options was done before they come.
const [options] = (await once(port, 'message')) as [RelayWorkerOptions];
const { figures } = options;
const { capacity, pairs } = DEFAULT_RELAY_LIMITS;
const clock = new Clock();
const slots = capacity * SLOTS_PER_PEER;
const aead: VectorAead = noble ? new noble.NobleAead(slots) : new OpensslAead(addon, slots);
const core = new RelayCore(
  getRandomValues(new Int32Array(1))[0]!,
  {},
  new RelayDropCounters(figures.relayDrops),
  new PairCounters(pairs, figures.pairs),
);
const endpoints = new EndpointTable(capacity + SCRATCH_ENDPOINTS);
const device = new Device({
  aead,
  primitives: noble ? noble.noblePrimitives : new OpensslPrimitives(addon),
  random,
  endpoints,
  statistics: new PeerStatistics(capacity),
  drops: new DropCounters(figures.deviceDrops),
  maxPeers: capacity,
});
const heartbeat = new Heartbeat(figures.heartbeat);
const replicas = new ReplicaTable(device, endpoints, core);
const restored = new RestoredReplicas(core, replicas);
const binder = new Binder(device, core, replicas, bound);

/** Binding changes of this visit. */
let changes: BindingChange[] = [];

function unbound(relayIds: readonly number[], end: BindingEnd = 'silent'): void {
  for (const relayId of relayIds) {
    changes.push({ relayId, at: clock.unix, endpoint: undefined, end });
  }
}

function bound(relayId: number, words: Int32Array, record: number): void {
  const endpoint = readEndpoint(words, record);
  if (endpoint === undefined) return;
  changes.push({ relayId, at: clock.unix, endpoint: formatEndpoint(endpoint) });
}

function onHeard(peer: number, sources: EndpointTable, record: number): void {
  const relayId = replicas.relayIdOf(peer);
  if (relayId === 0) return;
  restored.heard(relayId);
  binder.heard(relayId, sources.words, record, clock);
}

function onLeft(peer: number): void {
  const relayId = replicas.relayIdOf(peer);
  if (relayId !== 0 && binder.left(relayId, clock)) unbound([relayId], 'stopped');
}

function onTick(): void {
  unbound(core.pollUnbound(clock.monotonic));
  restored.tick(clock);
  binder.tick(clock);
}

function onEvents(): void {
  for (let event = device.pollEvent(); event !== undefined; event = device.pollEvent()) {
    if (event.type === 'under-load') report({ kind: 'under-load' });
    else if (event.type === 'session-established' && event.detail === 1) {
      binder.answered(replicas.relayIdOf(event.peer), clock);
    }
  }
  if (changes.length === 0) return;
  report({ kind: 'bindings', changes });
  changes = [];
}

/** Milliseconds until a port that another took in the meantime is tried again. */
const REOPEN_AFTER = 1_000;
let reopening: NodeJS.Timeout | undefined;

/** Never fragmented on the way: replicas search their paths, which lead through here, for the MTU. */
function openSockets(udpPort: number): UdpSockets {
  const sockets = UdpSockets.open(addon, udpPort, options.mark, endpoints);
  sockets.setDontFragment(true);
  return sockets;
}

/** Replicas know the relay by its port: no other will do. */
function reopen(loop: RelayLoop, relayPort: number, isFirst = true): void {
  try {
    loop.useSockets(openSockets(relayPort));
  } catch (error) {
    if (!(error instanceof SocketError)) throw error;
    if (isFirst) report({ kind: 'reopen-failed', errno: error.errno });
    reopening = setTimeout(() => reopen(loop, relayPort, false), REOPEN_AFTER);
    return;
  }
  loop.afterChange();
  report({ kind: 'reopened' });
}

function start(): void {
  let sockets: UdpSockets;
  try {
    sockets = openSockets(options.port);
  } catch (error) {
    if (!(error instanceof SocketError)) throw error;
    report({ kind: 'failed', errno: error.errno });
    port.close();
    return;
  }
  const { port: relayPort, receiveBuffer } = sockets;
  const now = clock.read();
  device.mtu = 0;
  device.configure({ privateKey: options.privateKey, peers: [] }, now);
  device.up(now);
  replicas.apply(options.replicas, now);
  if (options.bindings !== undefined) {
    const relayIds = core.importBindings(options.bindings, now.monotonic);
    for (const relayId of relayIds) bound(relayId, core.endpoints.words, core.slotOf(relayId));
    restored.add(relayIds, now);
  }
  const loop = new RelayLoop({
    addon,
    device,
    aead,
    core,
    clock,
    forwarded: new Float64Array(figures.forwarded),
    onHeard,
    onLeft,
    onTick: () => {
      if (loop.isOpen) heartbeat.beat();
      onTick();
    },
    onEvents,
    onSocketsLost: () => {
      loop.useSockets(undefined);
      reopen(loop, relayPort);
    },
  });
  loop.useSockets(sockets);
  port.on('message', (command: RelayCommand) => {
    switch (command.kind) {
      case 'replicas':
        unbound(replicas.apply(command.changes, clock.read()));
        loop.afterChange();
        report({ kind: 'applied', id: command.id });
        break;
      case 'pairs':
        core.setPairs(command.vnet, command.pairs);
        break;
      case 'export':
        report({ kind: 'exported', bytes: core.exportBindings() });
        break;
      case 'close':
        clearTimeout(reopening);
        device.down(clock.read());
        loop.close();
        port.close();
        break;
    }
  });
  const publicKey = device.publicKey!.slice();
  heartbeat.beat();
  report({ kind: 'ready', port: relayPort, publicKey, receiveBuffer, refusal });
  onTick();
  loop.afterChange();
}

start();
