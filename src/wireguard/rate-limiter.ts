/**
 * Token buckets per source for handshake messages under load (whitepaper § 5.3), with wireguard-go's
 * figures: 20 a second, bursts of 5.
 *
 * A source is its address (IPv6: the /64, since that is what one host is given) and relay id, without
 * the port: one host has 65,535 ports. The table is set-associative over plain memory: it never
 * grows, never allocates, and forgets the least recently used bucket of a set when that is full.
 */
import { ENDPOINT_RECORD_WORDS } from '../vector.ts';

export const HANDSHAKES_PER_SECOND = 20;
export const HANDSHAKE_BURST = 5;

const COST = 1_000 / HANDSHAKES_PER_SECOND;
const FULL = COST * HANDSHAKE_BURST;

const WAYS = 8;
const SETS = 512;
const KEY_WORDS = 4;

/** Buckets kept at most. */
export const RATE_LIMITER_CAPACITY = WAYS * SETS;

export class RateLimiter {
  readonly #keys = new Int32Array(RATE_LIMITER_CAPACITY * KEY_WORDS);
  /** Milliseconds of credit. */
  readonly #credit = new Float64Array(RATE_LIMITER_CAPACITY);
  /** Monotonic time of last use; negative infinity = free. */
  readonly #used = new Float64Array(RATE_LIMITER_CAPACITY).fill(Number.NEGATIVE_INFINITY);
  readonly #seed: number;

  /** `seed`: a random 32-bit number, so that nobody can aim at one set. */
  constructor(seed: number) {
    this.#seed = seed | 0;
  }

  /** Takes a token for the source in record `source` of `words`; false if there is none. */
  allow(words: Int32Array, source: number, now: number): boolean {
    const base = source * ENDPOINT_RECORD_WORDS;
    const isV6 = (words[base]! & 0xff) === 6 ? 1 : 0;
    const key0 = (words[base + 11]! << 1) | isV6;
    const key1 = words[base + 1]!;
    const key2 = words[base + 2]!;
    const key3 = words[base + 5]!;
    const first = this.#set(key0, key1, key2, key3) * WAYS;
    let oldest = first;
    for (let at = first; at < first + WAYS; at++) {
      const k = at * KEY_WORDS;
      const used = this.#used[at]!;
      if (
        used >= 0 &&
        this.#keys[k] === key0 &&
        this.#keys[k + 1] === key1 &&
        this.#keys[k + 2] === key2 &&
        this.#keys[k + 3] === key3
      ) {
        const credit = Math.min(FULL, this.#credit[at]! + Math.max(0, now - used));
        this.#used[at] = now;
        this.#credit[at] = credit >= COST ? credit - COST : credit;
        return credit >= COST;
      }
      if (used < this.#used[oldest]!) oldest = at;
    }
    this.#keys[oldest * KEY_WORDS] = key0;
    this.#keys[oldest * KEY_WORDS + 1] = key1;
    this.#keys[oldest * KEY_WORDS + 2] = key2;
    this.#keys[oldest * KEY_WORDS + 3] = key3;
    this.#used[oldest] = now;
    this.#credit[oldest] = FULL - COST;
    return true;
  }

  #set(key0: number, key1: number, key2: number, key3: number): number {
    let h = this.#seed;
    h = mix(h, key0);
    h = mix(h, key1);
    h = mix(h, key2);
    h = mix(h, key3);
    h ^= h >>> 15;
    return (h >>> 0) % SETS;
  }
}

/** One round of a 32-bit multiplicative hash. */
function mix(h: number, word: number): number {
  const m = Math.imul(h ^ word, 0x9e3779b1);
  return Math.imul(m ^ (m >>> 16), 0x85ebca6b);
}
