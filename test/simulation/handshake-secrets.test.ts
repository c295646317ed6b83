/** What handshakes derive, finished or refused: wiped, but for what is still needed. */
import { expect, test } from 'vitest';
import { isZero } from '../../src/bytes.ts';
import type { Primitives } from '../../src/primitives.ts';
import { type Datagram, endpointOf, fastPrimitives, World } from './world.ts';

const A = { ip: [192, 0, 2, 1], port: 51820 } as const;
const B = { ip: [192, 0, 2, 2], port: 51821 } as const;

/** Keeps all that the key derivation and the curve answer, but for public keys. */
function recorder() {
  const answered: Uint8Array[] = [];
  const primitives: Primitives = {
    ...fastPrimitives,
    x25519: (out, scalar, point) => {
      answered.push(out);
      return fastPrimitives.x25519(out, scalar, point);
    },
    kdf1: (key, input) => {
      const output = fastPrimitives.kdf1(key, input);
      answered.push(output);
      return output;
    },
    kdf2: (key, input) => {
      const outputs = fastPrimitives.kdf2(key, input);
      answered.push(...outputs);
      return outputs;
    },
    kdf3: (key, input) => {
      const outputs = fastPrimitives.kdf3(key, input);
      answered.push(...outputs);
      return outputs;
    },
  };
  return { primitives, left: () => answered.filter((secret) => !isZero(secret)).length };
}

/** Two that have shaken hands, a's initiation, and the initiations that b gets with `change` made. */
function established() {
  const world = new World(1);
  const [ofA, ofB] = [recorder(), recorder()];
  const a = world.node({ address: A, primitives: ofA.primitives });
  const b = world.node({ address: B, primitives: ofB.primitives });
  const initiations: Datagram[] = [];
  world.tap = (datagram) => {
    if (datagram.bytes[0] === 1) initiations.push(datagram);
    return true;
  };
  a.configurePeers({ publicKey: b.publicKey, endpoint: endpointOf(B)!, persistentKeepalive: 25 });
  b.configurePeers({ publicKey: a.publicKey });
  a.up();
  b.up();
  world.run(100);
  expect(b.events.map(({ type }) => type)).toContain('session-established');
  return { world, a, b, ofA, ofB, initiation: initiations[0]! };
}

/** Both keep DH(S_priv, S_pub). */
const KEPT = 1;

test('of a handshake that is done', () => {
  const { ofA, ofB } = established();
  expect([ofA.left(), ofB.left()]).toEqual([KEPT, KEPT]);
});

test('of a replayed initiation', () => {
  const { world, b, ofB, initiation } = established();
  world.inject(initiation);
  world.run(100);
  expect(b.drops.entries()).toEqual([['in_handshake_replay', 1]]);
  expect(ofB.left()).toBe(KEPT);
});

test('of an initiation that comes too soon after another', () => {
  const { world, a, b, ofB } = established();
  for (let i = 0; i < 2; i++) a.configurePeers({ publicKey: b.publicKey, rehandshake: true });
  world.run(100);
  expect(b.drops.entries()).toEqual([['in_handshake_flood', 1]]);
  expect(ofB.left()).toBe(KEPT);
});

test('of an initiation of no peer', () => {
  const { world, a, b, ofB } = established();
  b.configurePeers({ publicKey: a.publicKey, remove: true });
  a.configurePeers({ publicKey: b.publicKey, rehandshake: true });
  world.run(100);
  expect(b.drops.get('in_handshake_unknown_peer')).toBe(1);
  expect(ofB.left()).toBe(0);
});

test('of a peer that is removed while its answer is awaited', () => {
  const { world, a, b, ofA } = established();
  world.tap = () => false;
  a.configurePeers({ publicKey: b.publicKey, rehandshake: true });
  world.run(100);
  a.configurePeers({ publicKey: b.publicKey, remove: true });
  expect(ofA.left()).toBe(0);
});
