/**
 * Waits between attempts to reach an edge: they double from `LEAST_WAIT` to `MOST_WAIT`, and each is
 * shortened by a random part of up to a half, so that connectors that lost the same edge in the same
 * moment do not come back in the same moment. Pure.
 */

/** Milliseconds. */
export const LEAST_WAIT = 500;
export const MOST_WAIT = 30_000;

export class Backoff {
  readonly #random: () => number;
  #attempts = 0;

  /** @param random uniform in [0, 1) */
  constructor(random: () => number) {
    this.#random = random;
  }

  /** Milliseconds to wait before the next attempt. */
  next(): number {
    // Beyond 2^6 the limit holds anyway.
    const full = Math.min(MOST_WAIT, LEAST_WAIT * 2 ** Math.min(this.#attempts, 6));
    this.#attempts++;
    return Math.round(full * (1 - this.#random() / 2));
  }

  /** What was tried has worked. */
  reset(): void {
    this.#attempts = 0;
  }
}
