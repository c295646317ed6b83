/** How often other MTUs of paths have the kernel's routes planned anew, in virtual time. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { PathWatch } from '../../../../src/gateway/mesh/path-watch.ts';
import { type PublicKey, publicKey } from '../../../../src/keys.ts';

const A = publicKey(new Uint8Array(32).fill(1));
const B = publicKey(new Uint8Array(32).fill(2));

let hear: (key: PublicKey, mtu: number) => void;
let acts: number[];
/** ms that the kernel takes. */
let takes: number;
let running: number;
let most: number;
let watch: PathWatch;

beforeEach(() => {
  vi.useFakeTimers();
  [acts, takes, running, most] = [[], 0, 0, 0];
  watch = new PathWatch({
    mtu: 1_420,
    tunnel: {
      watchPaths: (listener) => {
        hear = listener;
      },
    },
    act: async () => {
      acts.push(Date.now());
      most = Math.max(most, ++running);
      await new Promise((resolve) => setTimeout(resolve, takes));
      running--;
    },
  });
});
afterEach(() => {
  watch.close();
  vi.useRealTimers();
});

test('what a search comes to is installed once, and what comes meanwhile after it', async () => {
  for (const mtu of [1_280, 1_344, 1_376]) hear(A, mtu);
  await vi.advanceTimersByTimeAsync(1_000);
  expect(acts.length).toBe(1);
  expect([...watch.mtus.values()]).toEqual([1_376]);
  takes = 100;
  hear(A, 1_280);
  await vi.advanceTimersByTimeAsync(60);
  hear(B, 1_280);
  await vi.advanceTimersByTimeAsync(5_000);
  expect(acts.length).toBe(3);
  hear(B, 1_280);
  hear(A, 1_420);
  await vi.advanceTimersByTimeAsync(5_000);
  expect([acts.length, watch.mtus.size]).toEqual([4, 1]);
});

test('a peer whose path is another all the time takes a small share, one at a time', async () => {
  takes = 300;
  for (let at = 0; at < 60_000; at += 10) {
    hear(A, at % 20 === 0 ? 512 : 1_376);
    await vi.advanceTimersByTimeAsync(10);
  }
  expect(acts.length * takes).toBeLessThan(0.2 * 60_000);
  expect(most).toBe(1);
  expect(acts.length).toBeGreaterThan(10);
  const last = acts.length;
  hear(A, 1_420);
  await vi.advanceTimersByTimeAsync(5_000);
  expect(acts.length).toBeGreaterThan(last);
});

test('nothing is installed after the end', async () => {
  hear(A, 1_280);
  watch.close();
  hear(B, 1_280);
  await vi.advanceTimersByTimeAsync(5_000);
  expect(acts).toEqual([]);
});
