/** Random 32-bit words for indexes and jitter, out of few calls to the source. */
export class RandomWords {
  readonly #random: (into: Uint8Array) => void;
  readonly #bytes = new Uint8Array(256);
  readonly #words = new Uint32Array(this.#bytes.buffer);
  #next: number;

  constructor(random: (into: Uint8Array) => void) {
    this.#random = random;
    this.#next = this.#words.length;
  }

  next(): number {
    if (this.#next === this.#words.length) {
      this.#random(this.#bytes);
      this.#next = 0;
    }
    const word = this.#words[this.#next]!;
    this.#words[this.#next++] = 0;
    return word;
  }

  /** Uniform enough in [0, limit) for jitter; `limit` far below 2^32. */
  below(limit: number): number {
    return this.next() % limit;
  }
}
