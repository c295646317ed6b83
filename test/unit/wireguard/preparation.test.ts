/** What a device computes ahead of handshakes: DH(S_priv, S_pub) with each peer, once. */
import { expect, test } from 'vitest';
import type { Primitives } from '../../../src/primitives.ts';
import { endpointOf, fastPrimitives, World } from '../../simulation/world.ts';

const A = { ip: [192, 0, 2, 1], port: 51820 } as const;
const B = { ip: [192, 0, 2, 2], port: 51821 } as const;

/** `a` and `b`, and how many products of the curve `a` has asked for. */
function pair() {
  let products = 0;
  const primitives: Primitives = {
    ...fastPrimitives,
    x25519: (out, scalar, point) => {
      products++;
      return fastPrimitives.x25519(out, scalar, point);
    },
  };
  const world = new World(1);
  const a = world.node({ address: A, primitives });
  const b = world.node({ address: B });
  const take = (): number => {
    const count = products;
    products = 0;
    return count;
  };
  const prepare = (): number => {
    let turns = 0;
    while (a.device.prepare()) turns++;
    return turns;
  };
  return { world, a, b, take, prepare };
}

/** Products that `a` needs to answer the first initiation of `b`. */
function answer({ world, a, b, take }: ReturnType<typeof pair>): number {
  a.configurePeers({ publicKey: b.publicKey });
  b.configurePeers({ publicKey: a.publicKey, endpoint: endpointOf(A)!, persistentKeepalive: 25 });
  a.up();
  take();
  b.up();
  world.run(100);
  expect(b.events.map(({ type }) => type)).toContain('session-established');
  return take();
}

test('an answer to a peer that was prepared for takes one product less', () => {
  const unprepared = answer(pair());
  const ready = pair();
  ready.a.configurePeers({ publicKey: ready.b.publicKey });
  expect(ready.prepare()).toBe(1);
  expect(answer(ready)).toBe(unprepared - 1);
});

test('each peer once, anew after another key, and none of low order for ever', () => {
  const { world, a, b, take, prepare } = pair();
  const c = world.node({ address: { ip: [192, 0, 2, 3], port: 51822 } });
  const lowOrder = Uint8Array.from({ length: 32 }, (_, i) => (i === 0 ? 1 : 0));
  a.configurePeers({ publicKey: b.publicKey }, { publicKey: lowOrder });
  expect(prepare()).toBe(2);
  expect(prepare()).toBe(0);
  a.configurePeers({ publicKey: b.publicKey, remove: true }, { publicKey: c.publicKey });
  take();
  // With the new one, and once more with the one of low order: behind it in number.
  expect(prepare()).toBe(2);
  expect(take()).toBe(2);
  a.device.configure({ privateKey: b.privateKey.slice(), peers: [] }, world.now);
  expect(prepare()).toBe(2);
  a.device.configure({ privateKey: new Uint8Array(32), peers: [] }, world.now);
  expect(prepare()).toBe(0);
});
