/**
 * Anti-replay window without bit shifting (RFC 6479), over the counters of one keypair (whitepaper
 * § 5.4.6). Exactly the 8,192 newest counters are told apart; what is older counts as seen.
 *
 * The ring has twice the window's size, a power of two, so that a block's place is a mask away even
 * where the counter is beyond 2^32.
 */

export const REPLAY_WINDOW = 8_192;

const BLOCK_BITS = 32;
const BLOCKS = (2 * REPLAY_WINDOW) / BLOCK_BITS;
const BLOCK_MASK = BLOCKS - 1;

export class ReplayFilter {
  readonly #ring = new Int32Array(BLOCKS);
  /** Greatest counter seen, -1 before the first. */
  #last = -1;

  reset(): void {
    this.#ring.fill(0);
    this.#last = -1;
  }

  /** True, and remembered, if this counter was not seen and is inside the window. Below 2^53. */
  accept(counter: number): boolean {
    const last = this.#last;
    if (counter > last) {
      this.#advance(counter);
    } else if (last - counter >= REPLAY_WINDOW) {
      return false;
    }
    const at = Math.floor(counter / BLOCK_BITS) & BLOCK_MASK;
    const bit = 1 << (counter % BLOCK_BITS);
    const block = this.#ring[at]!;
    if ((block & bit) !== 0) return false;
    this.#ring[at] = block | bit;
    return true;
  }

  /**
   * Takes `count` consecutive counters at once, in a step per 32 of them, if all are newer than
   * whatever was seen. False, with nothing remembered, if they are not: ask one by one then.
   */
  acceptRange(first: number, count: number): boolean {
    if (first <= this.#last || count > REPLAY_WINDOW) return false;
    const end = first + count;
    this.#advance(end - 1);
    const ring = this.#ring;
    let counter = first;
    while (counter < end) {
      const bit = counter % BLOCK_BITS;
      const bits = Math.min(BLOCK_BITS - bit, end - counter);
      const mask = bits === BLOCK_BITS ? -1 : ((1 << bits) - 1) << bit;
      const at = Math.floor(counter / BLOCK_BITS) & BLOCK_MASK;
      ring[at] = ring[at]! | mask;
      counter += bits;
    }
    return true;
  }

  /** Clears the blocks between the old greatest counter and the new one. */
  #advance(counter: number): void {
    const from = Math.floor(this.#last / BLOCK_BITS);
    const to = Math.floor(counter / BLOCK_BITS);
    this.#last = counter;
    if (to - from >= BLOCKS) {
      this.#ring.fill(0);
      return;
    }
    for (let block = from + 1; block <= to; block++) this.#ring[block & BLOCK_MASK] = 0;
  }
}
