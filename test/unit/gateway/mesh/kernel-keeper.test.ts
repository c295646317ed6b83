/** What the kernel refuses is tried again until it is in place. */
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { LEAST_WAIT, MOST_WAIT } from '../../../../src/gateway/mesh/backoff.ts';
import { KernelKeeper } from '../../../../src/gateway/mesh/kernel-keeper.ts';
import { NOTHING, type WantedKernel } from '../../../../src/gateway/mesh/wanted-kernel.ts';

import { parsePrefix } from '../../../../src/routing/prefix.ts';

let refuses: string | undefined;
let calls: string[];
let keeper: KernelKeeper;
beforeEach(() => {
  vi.useFakeTimers();
  refuses = undefined;
  calls = [];
  const call = async (what: string): Promise<void> => {
    calls.push(what);
    if (refuses !== undefined) throw new Error(refuses);
  };
  keeper = new KernelKeeper({
    kernel: {
      apply: ({ prefixes }) => call(`apply ${prefixes.length}`),
      replan: () => call('replan'),
    },
    random: () => 0,
    log: pino({ level: 'silent' }),
  });
});
afterEach(() => {
  keeper.close();
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

const one: WantedKernel = { ...NOTHING, prefixes: [parsePrefix('10.1.0.0/24')!] };

test('what is refused is tried again, ever more seldom, and the fault is gone with it', async () => {
  refuses = 'ip said no';
  await keeper.apply(one);
  expect(keeper.fault).toBe('ip said no');
  await vi.advanceTimersByTimeAsync(LEAST_WAIT);
  expect(calls).toEqual(['apply 1', 'apply 1']);
  await vi.advanceTimersByTimeAsync(10 * MOST_WAIT);
  const often = calls.length;
  expect(often).toBeLessThan(20);
  refuses = undefined;
  await vi.advanceTimersByTimeAsync(MOST_WAIT);
  expect(calls).toHaveLength(often + 1);
  expect(keeper.fault).toBeUndefined();
  await vi.advanceTimersByTimeAsync(10 * MOST_WAIT);
  expect(calls).toHaveLength(often + 1);
});

test('what is wanted now takes the place of what was refused', async () => {
  refuses = 'no';
  await keeper.apply(one);
  refuses = undefined;
  await keeper.apply(NOTHING);
  expect(keeper.fault).toBeUndefined();
  await vi.advanceTimersByTimeAsync(10 * MOST_WAIT);
  expect(calls).toEqual(['apply 1', 'apply 0']);
});

test('a plan for a changed main table is tried again as well', async () => {
  refuses = 'no';
  await keeper.replan();
  expect(keeper.fault).toBe('no');
  refuses = undefined;
  await vi.advanceTimersByTimeAsync(LEAST_WAIT);
  expect(calls).toEqual(['replan', 'replan']);
  expect(keeper.fault).toBeUndefined();
});

test('a change of the main table tries all that was refused at once', async () => {
  refuses = 'no';
  await keeper.apply(one);
  refuses = undefined;
  await keeper.replan();
  expect(calls).toEqual(['apply 1', 'apply 1']);
  expect(keeper.fault).toBeUndefined();
});
