import { expect, test } from 'vitest';
import { Backoff, LEAST_WAIT, MOST_WAIT } from '../../../../src/gateway/mesh/backoff.ts';

test('doubles up to the limit, and starts over after a success', () => {
  const backoff = new Backoff(() => 0);
  const waits = Array.from({ length: 9 }, () => backoff.next());
  expect(waits).toEqual([500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
  backoff.reset();
  expect(backoff.next()).toBe(LEAST_WAIT);
});

test('a thousand connectors that lost one edge come back spread over the wait', () => {
  let seed = 1;
  const random = (): number => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fffffff;
    return seed / 0x80000000;
  };
  const first = Array.from({ length: 1_000 }, () => new Backoff(random).next());
  expect(Math.min(...first)).toBeGreaterThanOrEqual(LEAST_WAIT / 2);
  expect(Math.max(...first)).toBeLessThanOrEqual(LEAST_WAIT);
  const slots = new Set(first.map((wait) => Math.floor(wait / 25)));
  expect(slots.size).toBeGreaterThanOrEqual(10);
});

test('an hour without an edge is some 160 attempts in virtual time, never closer than half a wait', () => {
  const backoff = new Backoff(() => 0.999);
  let now = 0;
  let attempts = 0;
  while (now < 3_600_000) {
    const wait = backoff.next();
    expect(wait).toBeGreaterThanOrEqual(LEAST_WAIT / 2);
    expect(wait).toBeLessThanOrEqual(MOST_WAIT);
    now += wait;
    attempts++;
  }
  expect(attempts).toBeLessThan(250);
});
