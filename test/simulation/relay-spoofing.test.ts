/**
 * A replica of one virtual network that can send with any source address, against one of another; and
 * the same from the other side: an address that really goes from one replica to the next.
 */
import { describe, expect, it } from 'vitest';
import { relayIdOf } from '../../src/wireguard/messages.ts';
import { A, configure, EDGE, IP_A, IP_B, ids, MOVED, mesh, SECOND } from './relay-world.ts';
import { type Node, packet, recordOf } from './world.ts';

const HOME = recordOf(A);
const X = 3;

/** Replica X of network y, in use at MOVED. */
function meshWithX() {
  const lab = mesh();
  const { world, edge, a } = lab;
  const x = world.node({ address: MOVED });
  edge.replicas.apply([{ relayId: X, publicKey: x.publicKey, vnet: 'y' }], world.now);
  configure(x, edge.node, a, 1, IP_A);
  x.up();
  world.run(SECOND);
  expect(edge.core.relayIdOf(recordOf(MOVED), 0)).toBe(X);
  return { ...lab, x };
}

/** A keepalive to the edge from `address`, forged or not. */
function claim(x: Node, address: typeof A): void {
  const own = x.address;
  x.address = address;
  x.device.sendKeepalives(x.world.now);
  x.flush();
  x.address = own;
}

function passes(lab: ReturnType<typeof mesh>, id: number): void {
  lab.a.send(packet(IP_A, IP_B, id));
  lab.world.run(100);
  lab.b.send(packet(IP_B, IP_A, id + 1));
  lab.world.run(100);
  expect(ids(lab.b).at(-1)).toBe(id);
  expect(ids(lab.a).at(-1)).toBe(id + 1);
}

describe('a replica that forges the address of another', () => {
  it('disturbs nothing, however often it does, and is asked no more than once a second', () => {
    const lab = meshWithX();
    const { world, edge, x } = lab;
    let asked = 0;
    world.tap = ({ from, to, bytes }) => {
      const atHome = to[0] === HOME[0] && to[1] === HOME[1];
      if (from[1] === recordOf(EDGE)[1] && atHome && bytes[0] === 1 && relayIdOf(bytes) === 0)
        asked++;
      return true;
    };
    passes(lab, 1);
    for (let i = 0; i < 30; i++) {
      for (let k = 0; k < 5; k++) {
        claim(x, A);
        world.run(50);
        claim(x, MOVED);
        world.run(50);
      }
      passes(lab, 10 + i * 2);
      expect(edge.core.relayIdOf(HOME, 0)).toBe(1);
      expect(edge.core.relayIdOf(recordOf(MOVED), 0)).toBe(X);
      expect(edge.core.pollUnbound(world.now.monotonic)).toEqual([]);
    }
    expect(asked).toBeGreaterThan(0);
    expect(asked).toBeLessThanOrEqual(31);
  });

  it('cannot answer from there what it was asked elsewhere', () => {
    const lab = meshWithX();
    const { world, edge, x } = lab;
    const response = 2;
    let forged = 0;
    world.tap = (datagram) => {
      if (datagram.bytes[0] !== response || datagram.from[1] !== recordOf(MOVED)[1]) return true;
      forged++;
      world.inject({ ...datagram, from: HOME.slice() });
      return false;
    };
    claim(x, A);
    world.run(100);
    // Back home: the next question of the edge comes here.
    claim(x, MOVED);
    for (let i = 0; i < 100; i++) {
      world.run(100);
      expect(edge.core.relayIdOf(HOME, 0)).toBe(1);
    }
    expect(forged).toBeGreaterThan(0);
    world.tap = () => true;
    passes(lab, 1);
  });
});

describe('an address that goes to another replica', () => {
  it('is bound to it as soon as it has answered from there', () => {
    const { world, edge, a, x } = meshWithX();
    world.nodes.splice(world.nodes.indexOf(a), 1);
    x.address = A;
    claim(x, A);
    world.run(50);
    expect(edge.core.relayIdOf(HOME, 0)).toBe(X);
    expect([edge.core.isBound(1), edge.core.isBound(X)]).toEqual([false, true]);
    expect(edge.core.pollUnbound(world.now.monotonic)).toEqual([1]);
    expect(edge.bound.at(-1)).toBe(X);
  });

  it('is so too when the first question is lost', () => {
    const { world, edge, a, x } = meshWithX();
    world.nodes.splice(world.nodes.indexOf(a), 1);
    x.address = A;
    let lost = 0;
    world.tap = ({ from, bytes }) => {
      return from[1] !== recordOf(EDGE)[1] || bytes[0] !== 1 || lost++ > 0;
    };
    for (let i = 0; i < 3; i++) {
      claim(x, A);
      world.run(600);
    }
    expect(edge.core.relayIdOf(HOME, 0)).toBe(X);
  });
});
