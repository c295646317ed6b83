/**
 * Smoothed round-trip time and how long to wait for an answer (RFC 6298 § 2). Each PING has an id of
 * its own, so every measurement is of one exchange (no ambiguity as in § 3).
 */

/** Milliseconds to wait as long as nothing was measured (§ 2.1). */
const FIRST_WAIT = 1_000;
/** Below it the scheduler of a busy host would count as loss. */
const LEAST_WAIT = 100;
const MOST_WAIT = 3_000;
/** Granularity of the clock that counts, G in § 2.2. */
const GRANULARITY = 10;

export class RoundTrip {
  /** Milliseconds; 0 = not measured. */
  smoothed = 0;
  #variation = 0;

  /** Milliseconds after which an answer will not come any more. */
  get wait(): number {
    if (this.smoothed === 0) return FIRST_WAIT;
    const wait = this.smoothed + Math.max(GRANULARITY, 4 * this.#variation);
    return Math.min(Math.max(wait, LEAST_WAIT), MOST_WAIT);
  }

  /** @param elapsed milliseconds between a PING and its PONG */
  add(elapsed: number): void {
    // 0 would read as "not measured".
    const measured = Math.max(elapsed, 0.001);
    if (this.smoothed === 0) {
      this.smoothed = measured;
      this.#variation = measured / 2;
      return;
    }
    this.#variation += (Math.abs(this.smoothed - measured) - this.#variation) / 4;
    this.smoothed += (measured - this.smoothed) / 8;
  }

  /** Another path. */
  clear(): void {
    this.smoothed = 0;
    this.#variation = 0;
  }
}
