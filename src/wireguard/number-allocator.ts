/** Small reusable numbers: of peers, and of the key slots of an AEAD. */

/** Numbers below a bound, each in use once; low ones first, and no memory for those never used. */
export class NumberAllocator {
  readonly #capacity: number;
  readonly #returned: number[] = [];
  #next = 0;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** Numbers that are not in use. */
  get available(): number {
    return this.#capacity - this.#next + this.#returned.length;
  }

  /** -1 if there is none. */
  take(): number {
    const returned = this.#returned.pop();
    if (returned !== undefined) return returned;
    return this.#next < this.#capacity ? this.#next++ : -1;
  }

  give(number: number): void {
    this.#returned.push(number);
  }
}
