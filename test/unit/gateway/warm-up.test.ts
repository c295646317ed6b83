/** The warm-up goes the way that packets go: if they were dropped, nothing behind would be warm. */
import { randomFillSync } from 'node:crypto';
import { expect, it } from 'vitest';
import { WARM_UP_PACKETS, warmUp } from '../../../src/gateway/data-plane/warm-up.ts';
import { NobleAead } from '../../../src/wireguard/noble-aead.ts';
import { noblePrimitives } from '../../../src/wireguard/noble-primitives.ts';

const parts = {
  makeAead: (slots: number) => new NobleAead(slots),
  primitives: noblePrimitives,
  random: (into: Uint8Array) => void randomFillSync(into),
};

it('brings every packet to the other side', () => {
  expect(warmUp(parts, Number.POSITIVE_INFINITY)).toBe(WARM_UP_PACKETS);
});

it('ends when its time is up', () => {
  expect(warmUp(parts, 0)).toBe(0);
});
