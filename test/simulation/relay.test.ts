/** What a relay and the gateways behind it do, whatever the network and the edge's process do. */
import { describe, expect, it } from 'vitest';
import { relayIdOf } from '../../src/wireguard/messages.ts';
import {
  A,
  admit,
  B,
  configure,
  EDGE,
  IP_A,
  IP_B,
  ids,
  MOVED,
  mesh,
  openEdge,
  pass,
  restart,
  SECOND,
} from './relay-world.ts';
import { type Datagram, packet, recordOf, World } from './world.ts';

describe('gateways behind a relay', () => {
  it('bind with their first keepalive and reach each other through it', () => {
    const { world, edge, a, b } = mesh();
    expect(edge.bound.sort()).toEqual([1, 2]);
    const seen: Datagram[] = [];
    world.tap = (datagram) => {
      if (relayIdOf(datagram.bytes) !== 0) seen.push(datagram);
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
    expect([core.slotOf(1) < 0, replicas.peerOf(1)]).toEqual([true, -1]);
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
