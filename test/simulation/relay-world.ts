/**
 * Gateways and the relay of an edge on a virtual clock: the edge's own WireGuard, its bindings, what it
 * forwards, and the gateways' devices are the real ones; only the sockets are not.
 */
import { RelayCore } from '../../src/control/relay/relay-core.ts';
import { Binder } from '../../src/edge/relay/binder.ts';
import { Forwarding } from '../../src/edge/relay/forwarding.ts';
import { ReplicaTable } from '../../src/edge/relay/replica-table.ts';
import { RestoredReplicas } from '../../src/edge/relay/restored-replicas.ts';
import { ENDPOINT_RECORD_WORDS } from '../../src/vector.ts';
import { type Address, allow, endpointOf, idOf, type Node, recordOf, World } from './world.ts';

export const EDGE: Address = { ip: [203, 0, 113, 1], port: 41_641 };
export const A: Address = { ip: [198, 51, 100, 1], port: 1_001 };
export const B: Address = { ip: [198, 51, 100, 2], port: 1_002 };
export const MOVED: Address = { ip: [198, 51, 100, 9], port: 9_009 };
export const IP_A = [10, 0, 0, 1];
export const IP_B = [10, 0, 0, 2];
export const SECOND = 1_000;

export interface Edge {
  readonly node: Node;
  readonly core: RelayCore;
  readonly replicas: ReplicaTable;
  readonly restored: RestoredReplicas;
  /** Relay ids whose binding was made or moved. */
  readonly bound: number[];
  /** Relay ids whose binding ended by a farewell. */
  readonly left: number[];
}

/** As `relay-loop.ts` and `relay-worker.ts` do it. */
export function openEdge(world: World, seed: number): Edge {
  const node = world.node({ address: EDGE, maxPeers: 8, seed });
  const core = new RelayCore(7, { capacity: 8, pairs: 64 });
  const replicas = new ReplicaTable(node.device, node.endpoints, core);
  const restored = new RestoredReplicas(core, replicas);
  const forwarding = new Forwarding(core, node.in, new Float64Array(2));
  const bound: number[] = [];
  const left: number[] = [];
  const binder = new Binder(node.device, core, replicas, (relayId) => bound.push(relayId));
  const handleOwn = node.handleVector.bind(node);
  // Of the relay's loop, below.
  node.handleFrames = () => {};
  node.handleVector = (v) => {
    forwarding.sort(world.now.monotonic);
    const { outbound } = forwarding;
    for (let i = 0; i < outbound.length; i++) {
      const at = outbound.endpoint[i]! * ENDPOINT_RECORD_WORDS;
      const to = core.endpoints.words.slice(at, at + ENDPOINT_RECORD_WORDS);
      for (let k = 0; k < outbound.count[i]!; k++) {
        const offset = outbound.offset[i]! + k * outbound.stride[i]!;
        const size = k < outbound.count[i]! - 1 ? outbound.stride[i]! : outbound.lastSize[i]!;
        world.post({
          from: recordOf(EDGE),
          to,
          bytes: outbound.arena.slice(offset, offset + size),
        });
      }
    }
    handleOwn(v);
    for (let i = 0; i < v.length; i++) {
      const peer = node.device.peerOfRun(v, i);
      if (peer < 0 || v.plain[v.first[i]!]! < 0) continue;
      const relayId = replicas.relayIdOf(peer);
      const farewell = node.device.handleFarewell(v, i);
      if (farewell === 'ended' && binder.left(relayId, world.now)) left.push(relayId);
      if (farewell !== 'none') continue;
      restored.heard(relayId);
      binder.heard(relayId, v.sources.words, v.source[i]!, world.now);
    }
    for (const { type, peer, detail } of node.events.splice(0)) {
      if (type !== 'session-established' || detail !== 1) continue;
      binder.answered(replicas.relayIdOf(peer), world.now);
    }
    node.flush();
  };
  node.up();
  return { node, core, replicas, restored, bound, left };
}

/** Lets the edge know its replicas: A is 1, B is 2, in one virtual network. */
export function admit(world: World, edge: Edge, a: Node, b: Node): void {
  const changes = [a, b].map(({ publicKey }, i) => ({ relayId: i + 1, publicKey, vnet: 'x' }));
  edge.replicas.apply(changes, world.now);
}

export function configure(
  node: Node,
  edge: Node,
  other: Node,
  relayId: number,
  ip: number[],
): void {
  const relay = { ...endpointOf(EDGE)!, publicKey: edge.publicKey };
  node.device.configure({ relays: [relay], peers: [] }, node.world.now);
  node.configurePeers(
    { publicKey: edge.publicKey, endpoint: relay, persistentKeepalive: 20 },
    { publicKey: other.publicKey, endpoint: { ...relay, relayId }, allowedIps: allow(ip, 32) },
  );
}

export function mesh() {
  const world = new World(5);
  const edge = openEdge(world, 99);
  const [a, b] = [world.node({ address: A }), world.node({ address: B })];
  admit(world, edge, a, b);
  configure(a, edge.node, b, 2, IP_B);
  configure(b, edge.node, a, 1, IP_A);
  a.up();
  b.up();
  world.run(SECOND);
  return { world, edge, a, b };
}

/** The edge process is gone; another one with its key knows what it is given. */
export function restart(world: World, edge: Edge, a: Node, b: Node, bindings?: Uint8Array): Edge {
  world.nodes.splice(world.nodes.indexOf(edge.node), 1);
  const next = openEdge(world, 99);
  next.node.device.configure({ privateKey: edge.node.privateKey, peers: [] }, world.now);
  admit(world, next, a, b);
  if (bindings !== undefined) {
    next.restored.add(next.core.importBindings(bindings, world.now.monotonic), world.now);
    next.restored.tick(world.now);
    next.node.flush();
  }
  return next;
}

/** Lets time pass as the relay's clock tick does. */
export function pass(world: World, edge: Edge, seconds: number): number[] {
  const ended: number[] = [];
  for (let i = 0; i < seconds; i++) {
    world.run(SECOND);
    ended.push(...edge.core.pollUnbound(world.now.monotonic));
    edge.restored.tick(world.now);
    edge.node.flush();
  }
  return ended;
}

export function ids(node: Node): number[] {
  return node.received.map(({ packet: bytes }) => idOf(bytes));
}
