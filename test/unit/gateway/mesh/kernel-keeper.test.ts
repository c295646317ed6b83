/** What the kernel refuses is tried again until it is in place. */
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { LEAST_WAIT, MOST_WAIT } from '../../../../src/gateway/mesh/backoff.ts';
import { KernelKeeper } from '../../../../src/gateway/mesh/kernel-keeper.ts';
import { NOTHING, type WantedKernel } from '../../../../src/gateway/mesh/wanted-kernel.ts';

import { parsePrefix } from '../../../../src/routing/prefix.ts';

let refuses: string | undefined;
let calls: string[];
let lost: string[];
let retried: number;
const network = new Set(['local'] as const);
let keeper: KernelKeeper;
beforeEach(() => {
  vi.useFakeTimers();
  refuses = undefined;
  calls = [];
  lost = [];
  retried = 0;
  const call = async (what: string): Promise<void> => {
    calls.push(what);
    if (refuses !== undefined) throw new Error(refuses);
  };
  keeper = new KernelKeeper({
    kernel: {
      apply: ({ prefixes }) => call(`apply ${prefixes.length}`),
      changed: (parts) => void calls.push(`changed ${[...parts].join()}`),
      lookAtTables: () => call('look'),
      replan: async () => {
        await call('replan');
        return lost;
      },
    },
    now: Date.now,
    random: () => 0,
    onRetried: () => retried++,
    log: pino({ level: 'silent' }),
  });
});
afterEach(() => {
  keeper.close();
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

const one: WantedKernel = { ...NOTHING, prefixes: [[parsePrefix('10.1.0.0/24')!]] };

test('what is refused is tried again, ever more seldom, and the fault is gone with it', async () => {
  refuses = 'ip said no';
  await keeper.apply(one);
  expect(keeper.fault).toBe('ip said no');
  await vi.advanceTimersByTimeAsync(LEAST_WAIT);
  expect(calls).toEqual(['apply 1', 'apply 1']);
  expect(retried).toBe(1);
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
  await keeper.changed(network);
  expect(keeper.fault).toBe('no');
  refuses = undefined;
  await vi.advanceTimersByTimeAsync(LEAST_WAIT);
  expect(calls).toEqual(['changed local', 'replan', 'replan']);
  expect(retried).toBe(1);
  expect(keeper.fault).toBeUndefined();
});

test('a change of the main table tries all that was refused at once', async () => {
  refuses = 'no';
  await keeper.apply(one);
  refuses = undefined;
  await keeper.changed(network);
  expect(calls).toEqual(['apply 1', 'changed local', 'apply 1']);
  expect(keeper.fault).toBeUndefined();
});

test('what somebody takes away is put back at once, then ever more seldom, and said', async () => {
  lost = ['5 routes'];
  const replans = (): number => calls.filter((call) => call === 'replan').length;
  for (let i = 0; i < 3; i++) await keeper.changed(new Set(['routes']));
  expect(replans()).toBe(3);
  expect(keeper.contention).toBeUndefined();
  // Somebody who takes it away each time it is put back, for ten minutes.
  let seen = replans();
  for (let ms = 0; ms < 600_000; ms += 50) {
    if (replans() > seen || ms === 0) await keeper.changed(new Set(['routes']));
    seen = Math.max(seen, replans() - 1);
    await vi.advanceTimersByTimeAsync(50);
  }
  expect(replans()).toBeGreaterThan(10);
  // Two seconds of putting back at once, then ever longer waits.
  expect(replans()).toBeLessThan(60);
  expect(keeper.contention).toContain('5 routes');
  // A LAN that is connected meanwhile does not wait for that.
  const before = replans();
  await keeper.changed(network);
  await vi.advanceTimersByTimeAsync(1_000);
  expect(replans()).toBe(before + 1);
  lost = [];
  await vi.advanceTimersByTimeAsync(600_000);
  expect(keeper.contention).toBeUndefined();
});

test('what has to wait for its turn to be put back is looked at meanwhile', async () => {
  lost = ['the nftables table causeway-causeway0-breakout'];
  const tables = new Set(['tables'] as const);
  for (let i = 0; i < 5; i++) {
    await keeper.changed(tables);
    await vi.advanceTimersByTimeAsync(600);
  }
  calls = [];
  await keeper.changed(tables);
  expect(calls).toEqual(['changed tables', 'look']);
  await keeper.changed(network);
  expect(calls).toEqual(['changed tables', 'look', 'changed local']);
});

test('closed, it tries nothing, and what fails meanwhile is not tried again', async () => {
  refuses = 'Cannot find device';
  const applied = keeper.apply(one);
  keeper.close();
  await applied;
  expect(keeper.fault).toBeUndefined();
  await keeper.apply(NOTHING);
  await keeper.changed(network);
  expect(calls).toEqual(['apply 1', 'changed local']);
});
