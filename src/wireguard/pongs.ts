/**
 * PONGs on their way out. Each goes back by the path its PING came by, which need not be the peer's
 * endpoint: so it carries the endpoint record it is for. A ring of fixed size.
 */
import { ENDPOINT_RECORD_WORDS } from '../vector.ts';
import { SCRATCH_ENDPOINTS } from './device-state.ts';

/** Fewer than the scratch records, which cookie replies use too. */
const CAPACITY = SCRATCH_ENDPOINTS / 2;

export class Pongs {
  readonly #peers = new Int32Array(CAPACITY);
  readonly #ids = new Uint32Array(2 * CAPACITY);
  readonly #records = new Int32Array(CAPACITY * ENDPOINT_RECORD_WORDS);
  #first = 0;
  #count = 0;

  get length(): number {
    return this.#count;
  }

  /** False if there is no room. */
  push(peer: number, id0: number, id1: number, words: Int32Array, source: number): boolean {
    if (this.#count === CAPACITY) return false;
    const at = (this.#first + this.#count++) % CAPACITY;
    this.#peers[at] = peer;
    this.#ids[2 * at] = id0;
    this.#ids[2 * at + 1] = id1;
    const from = source * ENDPOINT_RECORD_WORDS;
    this.#records.set(
      words.subarray(from, from + ENDPOINT_RECORD_WORDS),
      at * ENDPOINT_RECORD_WORDS,
    );
    return true;
  }

  /** Number of the peer that the oldest is for; there must be one. */
  get peer(): number {
    return this.#peers[this.#first]!;
  }

  /** One half of the oldest one's transaction id. */
  id(half: 0 | 1): number {
    return this.#ids[2 * this.#first + half]!;
  }

  /** Copies the oldest one's endpoint to record `record` of `words`. */
  copyEndpoint(words: Int32Array, record: number): void {
    const from = this.#first * ENDPOINT_RECORD_WORDS;
    words.set(
      this.#records.subarray(from, from + ENDPOINT_RECORD_WORDS),
      record * ENDPOINT_RECORD_WORDS,
    );
  }

  /** Forgets the oldest. */
  shift(): void {
    this.#first = (this.#first + 1) % CAPACITY;
    this.#count--;
  }

  clear(): void {
    this.#count = 0;
  }
}
