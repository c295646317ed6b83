import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { REPLAY_WINDOW, ReplayFilter } from '../../../src/wireguard/replay-filter.ts';
import { REJECT_AFTER_MESSAGES } from '../../../src/wireguard/timers.ts';

const W = REPLAY_WINDOW;

/** The whole truth, remembered: what RFC 6479 approximates with bits. */
class Oracle {
  readonly #seen = new Set<number>();
  #last = -1;

  accept(counter: number): boolean {
    if (this.#last - counter >= W || this.#seen.has(counter)) return false;
    this.#seen.add(counter);
    this.#last = Math.max(this.#last, counter);
    return true;
  }
}

describe('ReplayFilter', () => {
  it('has a window of 8,192', () => {
    expect(W).toBe(8_192);
  });

  /** The ground that wireguard-go's replay_test.go covers, for our window: [counter, accepted]. */
  const table: [name: string, steps: [number, boolean][]][] = [
    [
      'in order, repeated, out of order, at the window’s edge',
      [
        [0, true],
        [1, true],
        [1, false],
        [9, true],
        [8, true],
        [7, true],
        [7, false],
        [W, true],
        [W - 1, true],
        [W - 1, false],
        [W - 2, true],
        [2, true],
        [2, false],
        [W + 16, true],
        [3, false],
        [W + 16, false],
        [W * 4, true],
        [W * 4 - (W - 1), true],
        [10, false],
        [W * 4 - W, false],
        [W * 4 - (W + 1), false],
        [W * 4 - (W - 2), true],
        [W * 4 + 1 - W, false],
        [0, false],
        [REJECT_AFTER_MESSAGES - 1, true],
        [REJECT_AFTER_MESSAGES - 1, false],
        [REJECT_AFTER_MESSAGES - 2, true],
        [REJECT_AFTER_MESSAGES - 2, false],
        [REJECT_AFTER_MESSAGES - 3, true],
        [REJECT_AFTER_MESSAGES - W, true],
        [REJECT_AFTER_MESSAGES - W - 1, false],
        [0, false],
      ],
    ],
    ['upwards, then the one left out', [...up(1, W - 1), [0, true], [0, false]]],
    ['upwards beyond it: the one left out is too old', [...up(2, W + 1), [1, false], [0, false]]],
    ['downwards', [...down(W + 1, 2), [1, false]]],
    ['downwards to the very edge', [...down(W - 1, 0), [0, false], [W - 1, false]]],
    ['downwards, one newer, one older', [...down(W, 1), [W + 1, true], [1, false], [0, false]]],
    ['downwards, then the lowest', [...down(W, 2), [1, true], [0, false], [W + 1, true]]],
    [
      'jumps of a whole ring leave nothing behind',
      [
        [5, true],
        [5 + 2 * W, true],
        [5 + 4 * W, true],
        [5 + 4 * W - (W - 1), true],
        [5 + 8 * W, true],
        [5 + 8 * W - 1, true],
        [5 + 7 * W + 1, true],
        [5 + 7 * W, false],
      ],
    ],
    [
      'beyond 2^31 and 2^32, where bit operations wrap',
      [
        ...up(2 ** 31 * 32 - 40, 2 ** 31 * 32 + 40),
        [2 ** 31 * 32 - 1, false],
        [2 ** 31 * 32, false],
        ...up(2 ** 32 * 32 - 40, 2 ** 32 * 32 + 40),
        [2 ** 32 * 32, false],
        [2 ** 32 * 32 - W + 42, true],
        [2 ** 32 * 32 - W + 41, true],
        [2 ** 32 * 32 - W + 40, false],
      ],
    ],
  ];

  function up(from: number, to: number): [number, boolean][] {
    return Array.from({ length: to - from + 1 }, (_, i) => [from + i, true]);
  }

  function down(from: number, to: number): [number, boolean][] {
    return up(to, from).reverse();
  }

  it.each(table)('%s', (_, steps) => {
    const filter = new ReplayFilter();
    for (const [counter, accepted] of steps) {
      expect(filter.accept(counter), `counter ${counter}`).toBe(accepted);
    }
    filter.reset();
    expect(filter.accept(steps[0]![0])).toBe(true);
  });

  it('forgets in time what is a ring or more behind, one by one and in ranges', () => {
    const single = new ReplayFilter();
    const ranges = new ReplayFilter();
    for (let counter = 0; counter < 6 * W; counter++) {
      if (!single.accept(counter)) expect.unreachable(`counter ${counter}`);
      if (counter % 45 === 0) expect(ranges.acceptRange(counter, 45)).toBe(true);
    }
  });

  it('agrees with a memory of everything, one by one and in ranges', () => {
    const step = fc.record({
      jump: fc.oneof(
        { weight: 6, arbitrary: fc.integer({ min: -100, max: 100 }) },
        { weight: 2, arbitrary: fc.integer({ min: -W - 70, max: -W + 70 }) },
        { weight: 2, arbitrary: fc.integer({ min: -2 * W, max: 3 * W }) },
      ),
      count: fc.integer({ min: 1, max: 100 }),
    });
    const start = fc.constantFrom(0, 1, 1_000, 2 ** 36 - 5_000, 2 ** 37 - 5_000, 2 ** 52);
    fc.assert(
      fc.property(start, fc.array(step, { maxLength: 60 }), (from, steps) => {
        const filter = new ReplayFilter();
        const oracle = new Oracle();
        let at = from;
        for (const { jump, count } of steps) {
          at = Math.max(0, at + jump);
          if (filter.acceptRange(at, count)) {
            for (let i = 0; i < count; i++) expect(oracle.accept(at + i)).toBe(true);
          } else {
            for (let i = 0; i < count; i++) {
              expect(filter.accept(at + i)).toBe(oracle.accept(at + i));
            }
          }
        }
      }),
      { numRuns: 500 },
    );
  });

  it('takes a range only if all of it is new, and nothing of it otherwise', () => {
    const filter = new ReplayFilter();
    expect(filter.acceptRange(10, 45)).toBe(true);
    expect(filter.acceptRange(54, 45)).toBe(false);
    expect(filter.acceptRange(55, W + 1)).toBe(false);
    expect(new ReplayFilter().acceptRange(0, 1)).toBe(true);
    filter.reset();
    for (let i = 0; i < 20; i++) expect(filter.acceptRange(i * 45, 45)).toBe(true);
    for (let i = 0; i < 900; i++) expect(filter.accept(i)).toBe(false);
  });
});
