/**
 * Handshake messages and cookie replies that wait to be processed: copies with the endpoint record
 * they came from, in a ring of fixed size, so that a flood of them costs memory and time that are
 * known beforehand.
 */
import { ENDPOINT_RECORD_WORDS, type EndpointTable } from '../vector.ts';
import { clearRelayId, INITIATION_SIZE } from './messages.ts';

export const HANDSHAKE_QUEUE_SIZE = 256;

export class HandshakeQueue {
  readonly #bytes = new Uint8Array(HANDSHAKE_QUEUE_SIZE * INITIATION_SIZE);
  readonly #lengths = new Int32Array(HANDSHAKE_QUEUE_SIZE);
  /** Endpoint records; record `first` belongs to the oldest message. */
  readonly sources = new Int32Array(HANDSHAKE_QUEUE_SIZE * ENDPOINT_RECORD_WORDS);
  #first = 0;
  #count = 0;

  get length(): number {
    return this.#count;
  }

  /** Copies a message (≤ 148 bytes) and its source, clearing the relay id; false if full. */
  push(
    bytes: Uint8Array,
    offset: number,
    length: number,
    sources: EndpointTable,
    source: number,
  ): boolean {
    if (this.#count === HANDSHAKE_QUEUE_SIZE) return false;
    const at = (this.#first + this.#count++) % HANDSHAKE_QUEUE_SIZE;
    const base = at * INITIATION_SIZE;
    for (let i = 0; i < length; i++) this.#bytes[base + i] = bytes[offset + i]!;
    const message = this.#bytes.subarray(base, base + length);
    clearRelayId(message);
    this.#lengths[at] = length;
    const to = at * ENDPOINT_RECORD_WORDS;
    const from = source * ENDPOINT_RECORD_WORDS;
    for (let i = 0; i < ENDPOINT_RECORD_WORDS; i++) {
      this.sources[to + i] = sources.words[from + i]!;
    }
    return true;
  }

  /** The oldest message: a view, valid until the next `push` after its `shift`. */
  peek(): Uint8Array {
    const base = this.#first * INITIATION_SIZE;
    return this.#bytes.subarray(base, base + this.#lengths[this.#first]!);
  }

  /** Record of the oldest message's source in `sources`. */
  source(): number {
    return this.#first;
  }

  shift(): void {
    this.#first = (this.#first + 1) % HANDSHAKE_QUEUE_SIZE;
    this.#count--;
  }

  clear(): void {
    this.#count = 0;
  }
}
