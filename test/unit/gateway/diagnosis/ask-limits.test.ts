/** How often others may ask, in virtual time. */
import { expect, test } from 'vitest';
import { AskLimits } from '../../../../src/gateway/diagnosis/ask-limits.ts';

/** Asks at once until it is refused; how often it was answered. */
function ask(limits: AskLimits, name: string, now: number, most = 1_000): number {
  for (let n = 0; n < most; n++) {
    const done = limits.begin(name, now);
    if (done === undefined) return n;
    done();
  }
  return most;
}

test('a burst, then so many a second; of all together as well', () => {
  const limits = new AskLimits();
  expect(ask(limits, 'a', 0)).toBe(20);
  expect(ask(limits, 'a', 100)).toBe(0);
  expect(ask(limits, 'a', 1_000)).toBe(1);
  expect(ask(limits, 'b', 1_000)).toBe(20);
  // 40 and 4 a second of all, less the 41 that were answered.
  expect(ask(limits, 'c', 1_000)).toBe(3);
  expect(ask(limits, 'd', 2_000)).toBe(4);
  expect(ask(limits, 'a', 3_600_000)).toBe(20);
});

test('two at the same time of one, four of all; an end counts once', () => {
  const limits = new AskLimits();
  const first = limits.begin('a', 0);
  expect(limits.begin('a', 0)).toBeDefined();
  expect(limits.begin('a', 0)).toBeUndefined();
  expect(limits.begin('b', 0)).toBeDefined();
  expect(limits.begin('c', 0)).toBeDefined();
  expect(limits.begin('d', 0)).toBeUndefined();
  first?.();
  first?.();
  expect(limits.begin('d', 0)).toBeDefined();
  expect(limits.begin('e', 0)).toBeUndefined();
});

test('who is refused for want of room does not pay for it', () => {
  const limits = new AskLimits();
  const open = [limits.begin('a', 0), limits.begin('a', 0)];
  for (let i = 0; i < 100; i++) expect(limits.begin('a', 0)).toBeUndefined();
  for (const done of open) done?.();
  expect(ask(limits, 'a', 0)).toBe(18);
});

test('a thousand askers are remembered, and no more', () => {
  const limits = new AskLimits();
  // Far enough apart for the bucket of all, and too close for their own.
  expect(ask(limits, 'first', 0)).toBe(20);
  for (let i = 0; i < 1_023; i++) limits.begin(`asker-${i}`, 1)?.();
  expect(ask(limits, 'first', 2, 1)).toBe(0);
  for (let i = 0; i < 1_024; i++) limits.begin(`other-${i}`, 3)?.();
  expect(ask(limits, 'first', 12_000)).toBe(20);
});
