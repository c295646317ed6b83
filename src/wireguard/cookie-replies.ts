/**
 * Cookie replies on their way out: to sources that are no peers, so each carries the endpoint record
 * it is for. A ring of fixed size; what does not fit is not sent, which the source takes as loss.
 */
import { ENDPOINT_RECORD_WORDS } from '../vector.ts';
import { SCRATCH_ENDPOINTS } from './device-state.ts';
import { COOKIE_REPLY_SIZE } from './messages.ts';

export class CookieReplies {
  readonly #bytes = new Uint8Array(SCRATCH_ENDPOINTS * COOKIE_REPLY_SIZE);
  readonly #records = new Int32Array(SCRATCH_ENDPOINTS * ENDPOINT_RECORD_WORDS);
  #first = 0;
  #count = 0;

  get length(): number {
    return this.#count;
  }

  push(reply: Uint8Array, words: Int32Array, source: number): void {
    if (this.#count === SCRATCH_ENDPOINTS) return;
    const at = (this.#first + this.#count++) % SCRATCH_ENDPOINTS;
    this.#bytes.set(reply, at * COOKIE_REPLY_SIZE);
    const from = source * ENDPOINT_RECORD_WORDS;
    const to = at * ENDPOINT_RECORD_WORDS;
    for (let i = 0; i < ENDPOINT_RECORD_WORDS; i++) this.#records[to + i] = words[from + i]!;
  }

  /** Moves the oldest reply to `out[offset..]`, and its endpoint to record `record` of `words`. */
  shift(out: Uint8Array, offset: number, words: Int32Array, record: number): void {
    const start = this.#first * COOKIE_REPLY_SIZE;
    out.set(this.#bytes.subarray(start, start + COOKIE_REPLY_SIZE), offset);
    const from = this.#first * ENDPOINT_RECORD_WORDS;
    const to = record * ENDPOINT_RECORD_WORDS;
    for (let i = 0; i < ENDPOINT_RECORD_WORDS; i++) words[to + i] = this.#records[from + i]!;
    this.#first = (this.#first + 1) % SCRATCH_ENDPOINTS;
    this.#count--;
  }

  clear(): void {
    this.#count = 0;
  }
}
