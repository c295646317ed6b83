/**
 * Gateways and the relay of an edge on a virtual clock: the edge's own WireGuard, its bindings, what it
 * forwards, and the gateways' devices are the real ones; only the sockets are not.
 */
import { describe, expect, it } from 'vitest';
import { RelayCore } from '../../src/control/relay/relay-core.ts';
import { Forwarding } from '../../src/edge/relay/forwarding.ts';
import { ReplicaTable } from '../../src/edge/relay/replica-table.ts';
import { RestoredReplicas } from '../../src/edge/relay/restored-replicas.ts';
import { ENDPOINT_RECORD_WORDS } from '../../src/vector.ts';
import { relayIdOf } from '../../src/wireguard/messages.ts';
import {
  type Address,
  allow,
  type Datagram,
  endpointOf,
  idOf,
  type Node,
  packet,
  recordOf,
  World,
} from './world.ts';

const EDGE: Address = { ip: [203, 0, 113, 1], port: 41_641 };
const A: Address = { ip: [198, 51, 100, 1], port: 1_001 };
const B: Address = { ip: [198, 51, 100, 2], port: 1_002 };
const MOVED: Address = { ip: [198, 51, 100, 9], port: 9_009 };
const IP_A = [10, 0, 0, 1];
const IP_B = [10, 0, 0, 2];
const SECOND = 1_000;

interface Edge {
  readonly node: Node;
  readonly core: RelayCore;
  readonly replicas: ReplicaTable;
  readonly restored: RestoredReplicas;
  /** Relay ids whose binding was made or moved. */
  readonly bound: number[];
}

/** As `relay-loop.ts` and `relay-worker.ts` do it. */
function openEdge(world: World, seed: number): Edge {
  const node = world.node({ address: EDGE, maxPeers: 8, seed });
  const core = new RelayCore(7, { capacity: 8, pairs: 64 });
  const replicas = new ReplicaTable(node.device, core);
  const restored = new RestoredReplicas(node.device, node.endpoints, core, replicas);
  const forwarding = new Forwarding(core, node.in, new Float64Array(2));
  const bound: number[] = [];
  const handleOwn = node.handleVector.bind(node);
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
      restored.heard(relayId);
      const result = core.bind(relayId, v.sources.words, v.source[i]!, world.now.monotonic);
      if (result === 'bound' || result === 'moved') bound.push(relayId);
    }
  };
  node.up();
  return { node, core, replicas, restored, bound };
}

/** Lets the edge know its replicas: A is 1, B is 2, in one virtual network. */
function admit(world: World, edge: Edge, a: Node, b: Node): void {
  const changes = [a, b].map(({ publicKey }, i) => ({ relayId: i + 1, publicKey, vnet: 'x' }));
  edge.replicas.apply(changes, world.now);
}

function configure(node: Node, edge: Node, other: Node, relayId: number, ip: number[]): void {
  const relay = endpointOf(EDGE)!;
  node.device.configure({ relays: [relay], peers: [] }, node.world.now);
  node.configurePeers(
    { publicKey: edge.publicKey, endpoint: relay, persistentKeepalive: 20 },
    { publicKey: other.publicKey, endpoint: { ...relay, relayId }, allowedIps: allow(ip, 32) },
  );
}

function mesh() {
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
function restart(world: World, edge: Edge, a: Node, b: Node, bindings?: Uint8Array): Edge {
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
function pass(world: World, edge: Edge, seconds: number): number[] {
  const ended: number[] = [];
  for (let i = 0; i < seconds; i++) {
    world.run(SECOND);
    ended.push(...edge.core.pollUnbound(world.now.monotonic));
    edge.restored.tick(world.now);
    edge.node.flush();
  }
  return ended;
}

function ids(node: Node): number[] {
  return node.received.map(({ packet: bytes }) => idOf(bytes));
}

describe('gateways behind a relay', () => {
  it('bind with their first keepalive and reach each other through it', () => {
    const { world, edge, a, b } = mesh();
    expect(edge.bound.sort()).toEqual([1, 2]);
    const seen: Datagram[] = [];
    world.tap = (datagram) => {
      seen.push(datagram);
      return true;
    };
    a.send(packet(IP_A, IP_B, 1, 1_000));
    world.run(SECOND);
    b.send(packet(IP_B, IP_A, 2));
    world.run(SECOND);
    expect([ids(b), ids(a)]).toEqual([[1], [2]]);
    // In and out alternate: the same message, only the reserved bytes are others.
    const edgeRecord = recordOf(EDGE);
    const into = seen.filter(({ to }) => to[1] === edgeRecord[1]);
    const out = seen.filter(({ to }) => to[1] !== edgeRecord[1]);
    expect(into.length).toBe(out.length);
    for (const [i, { bytes }] of into.entries()) {
      const sent = out[i]!.bytes;
      expect(sent.length).toBe(bytes.length);
      expect(sent.subarray(4)).toEqual(bytes.subarray(4));
      expect([relayIdOf(bytes), relayIdOf(sent)].sort()).toEqual([1, 2]);
    }
    expect([a, b].map((node) => node.drops.entries())).toEqual([[], []]);
    expect(edge.core.drops.entries()).toEqual([]);
  });

  it('get cookies through it when the other one is under load', () => {
    const { world, a, b } = mesh();
    b.device.enterUnderLoad(world.now);
    a.send(packet(IP_A, IP_B, 1));
    world.run(900);
    expect(b.drops.entries()).toEqual([['in_mac2', 1]]);
    world.run(6 * SECOND);
    expect(ids(b)).toEqual([1]);
  });

  it('stay bound for an hour without traffic, and are unbound when they fall silent', () => {
    const { world, edge, a } = mesh();
    expect(pass(world, edge, 3_600)).toEqual([]);
    a.down();
    const silent = world.now.monotonic;
    while (pass(world, edge, 1).length === 0);
    const after = (world.now.monotonic - silent) / SECOND;
    expect(after).toBeGreaterThan(45);
    expect(after).toBeLessThan(75);
    expect([edge.core.isBound(1), edge.core.isBound(2)]).toEqual([false, true]);
  });

  it('are found again at once when they say that their address has changed', () => {
    const { world, edge, a, b } = mesh();
    a.send(packet(IP_A, IP_B, 1));
    world.run(SECOND);
    a.address = MOVED;
    b.send(packet(IP_B, IP_A, 2));
    a.send(packet(IP_A, IP_B, 3));
    world.run(100);
    expect(edge.core.drops.entries()).toEqual([['relay_unbound_source', 1]]);
    a.device.sendKeepalives(world.now);
    a.flush();
    world.run(20);
    a.send(packet(IP_A, IP_B, 4));
    b.send(packet(IP_B, IP_A, 5));
    world.run(100);
    expect(edge.bound.at(-1)).toBe(1);
    expect(ids(b)).toEqual([1, 4]);
    expect(ids(a)).toEqual([5]);
  });
});

describe('a network that changes all the time', () => {
  it('keeps nobody from shaking hands', () => {
    const { world, edge, a, b } = mesh();
    const next = restart(world, edge, a, b);
    a.down();
    Object.assign(world.link, { delayMin: 300, delayMax: 300 });
    a.up();
    for (let i = 0; i < 20; i++) {
      world.run(250);
      a.device.sendKeepalives(world.now);
      a.flush();
    }
    expect(next.bound).toEqual([1]);
  });
});

describe('a restart of the edge', () => {
  it('is not noticed when the bindings were kept: the edge makes new sessions', () => {
    const { world, edge, a, b } = mesh();
    a.send(packet(IP_A, IP_B, 1));
    world.run(SECOND);
    const next = restart(world, edge, a, b, edge.core.exportBindings());
    a.send(packet(IP_A, IP_B, 2));
    b.send(packet(IP_B, IP_A, 3));
    expect(pass(world, next, 600)).toEqual([]);
    a.send(packet(IP_A, IP_B, 4));
    world.run(SECOND);
    expect([ids(b), ids(a)]).toEqual([[1, 2, 4], [3]]);
    expect([next.core.isBound(1), next.core.isBound(2)]).toEqual([true, true]);
  });

  it('without bindings is over when the gateways are told to shake hands', () => {
    const { world, edge, a, b } = mesh();
    const next = restart(world, edge, a, b);
    pass(world, next, 60);
    expect(next.bound).toEqual([]);
    for (const node of [a, b]) {
      node.configurePeers({ publicKey: next.node.publicKey, rehandshake: true });
    }
    world.run(100);
    expect(next.bound.sort()).toEqual([1, 2]);
    a.send(packet(IP_A, IP_B, 1));
    world.run(SECOND);
    expect(ids(b)).toEqual([1]);
  });

  it('without either is over with the next session, within REKEY_AFTER_TIME', () => {
    const { world, edge, a, b } = mesh();
    const next = restart(world, edge, a, b);
    pass(world, next, 145);
    expect(next.bound.sort()).toEqual([1, 2]);
  });

  it('makes no replayed message move a binding', () => {
    const world = new World(5);
    const edge = openEdge(world, 99);
    const [a, b] = [world.node({ address: A }), world.node({ address: B })];
    admit(world, edge, a, b);
    configure(a, edge.node, b, 2, IP_B);
    const seen: Datagram[] = [];
    world.tap = (datagram) => {
      if (datagram.to[1] === recordOf(EDGE)[1]) seen.push(datagram);
      return true;
    };
    a.up();
    world.run(SECOND);
    const replay = (): void => {
      for (const { to, bytes } of [...seen]) {
        world.inject({ from: recordOf(MOVED), to, bytes });
      }
      world.run(SECOND);
    };
    const home = recordOf(A);
    replay();
    expect(edge.core.relayIdOf(home, 0)).toBe(1);
    expect(edge.node.drops.get('in_handshake_replay')).toBe(1);
    expect(edge.node.drops.get('in_replay')).toBe(1);
    // Without a memory of the timestamps the initiation is answered, and that is all it brings.
    const next = restart(world, edge, a, b, edge.core.exportBindings());
    replay();
    expect(next.core.relayIdOf(home, 0)).toBe(1);
    expect(next.core.relayIdOf(recordOf(MOVED), 0)).toBe(0);
    expect(pass(world, next, 300)).toEqual([]);
  });
});

describe('the replica table', () => {
  it('unbinds whoever is removed, gets another key, or goes to another network', () => {
    const { world, edge, a, b } = mesh();
    const c = world.node({ address: MOVED });
    const { replicas, core } = edge;
    expect(replicas.apply([{ relayId: 1, publicKey: a.publicKey, vnet: 'x' }], world.now)).toEqual(
      [],
    );
    expect(core.isBound(1)).toBe(true);
    expect(replicas.apply([{ relayId: 1, publicKey: c.publicKey, vnet: 'x' }], world.now)).toEqual([
      1,
    ]);
    expect(edge.node.device.peerNumber(a.publicKeyHex)).toBe(-1);
    expect(replicas.apply([{ relayId: 2, publicKey: b.publicKey, vnet: 'y' }], world.now)).toEqual([
      2,
    ]);
    // The same key under another id: the first one is gone.
    replicas.apply([{ relayId: 3, publicKey: c.publicKey, vnet: 'x' }], world.now);
    expect([core.slotOf(1) < 0, replicas.keyOf(1)]).toEqual([true, undefined]);
    expect(replicas.relayIdOf(edge.node.device.peerNumber(c.publicKeyHex))).toBe(3);
    replicas.apply(
      [
        { relayId: 2, remove: true },
        { relayId: 3, remove: true },
        { relayId: 77, remove: true },
      ],
      world.now,
    );
    expect([core.size, edge.node.device.peerCount]).toEqual([0, 0]);
  });

  it('takes no more replicas than the core has room for', () => {
    const { world, edge } = mesh();
    const more = Array.from({ length: 20 }, (_, i) => {
      return { relayId: 10 + i, publicKey: new Uint8Array(32).fill(i + 1), vnet: 'z' };
    });
    edge.replicas.apply(more, world.now);
    expect([edge.core.size, edge.node.device.peerCount]).toEqual([8, 8]);
  });
});
