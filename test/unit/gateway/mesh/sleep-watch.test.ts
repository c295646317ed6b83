import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { SleepWatch } from '../../../../src/gateway/mesh/sleep-watch.ts';

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

test('time asleep is told once, time awake and a slow machine are not', () => {
  let [boot, monotonic] = [500_000, 0];
  const slept: number[] = [];
  const clocks = { boot: () => boot, monotonic: () => monotonic };
  const watch = new SleepWatch((asleep) => slept.push(asleep), clocks);
  const pass = (awake: number, asleep: number): void => {
    boot += awake + asleep;
    monotonic += awake;
    vi.advanceTimersByTime(1_000);
  };
  for (let i = 0; i < 100; i++) pass(1_000, 0);
  // Held up for a minute by others: both clocks go on.
  pass(60_000, 0);
  // A doze that nobody minds.
  pass(1_000, 2_000);
  expect(slept).toEqual([]);
  pass(1_000, 3_600_000);
  pass(1_000, 0);
  expect(slept).toEqual([3_600_000]);
  watch.close();
  pass(1_000, 3_600_000);
  expect(slept).toHaveLength(1);
  expect(vi.getTimerCount()).toBe(0);
});

test("the system's own clocks go together", () => {
  const slept: number[] = [];
  const watch = new SleepWatch((asleep) => slept.push(asleep));
  vi.advanceTimersByTime(5_000);
  watch.close();
  expect(slept).toEqual([]);
});
