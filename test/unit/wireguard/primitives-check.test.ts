/** The check of other primitives against noble's: what it finds, and what it leaves behind. */
import { describe, expect, it } from 'vitest';
import type { Primitives } from '../../../src/primitives.ts';
import { noblePrimitives } from '../../../src/wireguard/noble-primitives.ts';
import { primitivesDisagreement } from '../../../src/wireguard/primitives-check.ts';

const BASE_POINT = Uint8Array.from({ length: 32 }, (_, i) => (i === 0 ? 9 : 0));

/** Right in everything, without noble's table of the base point. */
const right: Primitives = {
  ...noblePrimitives,
  x25519Base: (out, scalar) => void noblePrimitives.x25519(out, scalar, BASE_POINT),
};

function flipped(bytes: Uint8Array): Uint8Array {
  bytes[7]! ^= 1;
  return bytes;
}

/** Each wrong in one bit of one function, and by what word the check says so. */
const WRONG: readonly (readonly [string, Partial<Primitives>, RegExp])[] = [
  [
    'public keys',
    {
      x25519Base(out, scalar) {
        right.x25519Base(out, scalar);
        flipped(out);
      },
    },
    /public keys/,
  ],
  [
    'shared secrets',
    {
      x25519(out, scalar, point) {
        const answer = right.x25519(out, scalar, point);
        flipped(out);
        return answer;
      },
    },
    /secrets/,
  ],
  ['a point of low order', { x25519: (...args) => right.x25519(...args) || true }, /zero/],
  ['hash', { hash: (...args) => flipped(right.hash(...args)) }, /BLAKE2s/],
  ['mac', { mac: (...args) => flipped(right.mac(...args)) }, /keyed/],
  ['kdf1', { kdf1: (...args) => flipped(right.kdf1(...args)) }, /HKDF/],
  ['sealing', { seal: (...args) => flipped(right.seal(...args)) }, /seals/],
  ['opening', { open: () => undefined }, /opens differently/],
];

describe('the check of primitives', () => {
  it('passes what does as noble', () => {
    expect(primitivesDisagreement(right)).toBeUndefined();
  });

  it.each(WRONG)('finds a fault in %s', (_, fault, said) => {
    expect(primitivesDisagreement({ ...right, ...fault })).toMatch(said);
  });
});
