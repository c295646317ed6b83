/** What the self-test finds in an AEAD; for the handshake's functions see primitives-check.test.ts. */
import { expect, test } from 'vitest';
import type { InboundVector, OutboundVector } from '../../../src/vector.ts';
import { NobleAead } from '../../../src/wireguard/noble-aead.ts';
import { noblePrimitives } from '../../../src/wireguard/noble-primitives.ts';
import { selfTest } from '../../../src/wireguard/self-test.ts';

const verdict = (makeAead: (slots: number) => NobleAead) =>
  selfTest(makeAead, () => noblePrimitives);

class SealsWrongly extends NobleAead {
  override sealVector(vector: OutboundVector): void {
    super.sealVector(vector);
    vector.arena[vector.used - 1]! ^= 1;
  }
}

class CountsWrongly extends NobleAead {
  override sealVector(vector: OutboundVector): void {
    super.sealVector(vector);
    vector.arena[vector.offset[2]! + 8]! ^= 1;
  }
}

class BelievesAll extends NobleAead {
  override openVector(vector: InboundVector): void {
    super.openVector(vector);
    for (let i = 0; i < vector.length; i++) vector.plain[i] = Math.max(0, vector.lastSize[i]! - 32);
  }
}

class ReadsWrongly extends NobleAead {
  override openVector(vector: InboundVector): void {
    super.openVector(vector);
    vector.arena[vector.offset[3]! + 16]! ^= 1;
  }
}

test('it finds nothing wrong with the reference', () => {
  expect(verdict((slots) => new NobleAead(slots))).toBeUndefined();
});

test.each([
  ['seals differently', SealsWrongly],
  ['seals differently', CountsWrongly],
  ['opens 9000 bytes as 9000', BelievesAll],
  ['opens 16 bytes wrongly', ReadsWrongly],
])('it finds one that %s', (said, Faulty) => {
  expect(verdict((slots) => new Faulty(slots))).toBe(`it ${said}`);
});

test('one that cannot be made is refused in its words', () => {
  const lacking = (): never => {
    throw new Error('this OpenSSL lacks a function');
  };
  expect(verdict(lacking)).toBe('this OpenSSL lacks a function');
  expect(selfTest((slots) => new NobleAead(slots), lacking)).toBe('this OpenSSL lacks a function');
});
