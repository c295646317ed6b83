/**
 * Bounds failed authentications by source: a token bucket each for an IPv4 address or an IPv6 /64,
 * in a table of bounded size that forgets whom it heard of longest ago.
 *
 * A request with a valid secret is never refused here: whoever shares its address with an attacker
 * goes on. A secret of 256 bits is not guessed; what is bounded is the work and the log.
 */

import { formatAddress, parseAddress } from '../routing/address.ts';
import { prefixOf } from '../routing/prefix.ts';

const BURST = 30;
/** One more failure is allowed every so many ms. */
const INTERVAL = 2_000;
const MAX_SOURCES = 8_192;
const SITE_PREFIX_LENGTH = 64;

interface Bucket {
  /** Failures that are not forgiven yet. */
  failures: number;
  /** When `failures` was right. */
  at: number;
}

export class FailureLimiter {
  readonly #buckets = new Map<string, Bucket>();

  /**
   * Counts a failure.
   *
   * @param source address of the peer, as Node gives it
   * @param now milliseconds, monotonic
   * @returns 0, or how many seconds to stay away
   */
  fail(source: string, now: number): number {
    const key = sourceKey(source);
    const bucket = this.#buckets.get(key) ?? { failures: 0, at: now };
    bucket.failures = Math.max(0, bucket.failures - (now - bucket.at) / INTERVAL);
    bucket.at = now;
    this.#buckets.delete(key);
    this.#buckets.set(key, bucket);
    if (this.#buckets.size > MAX_SOURCES) {
      this.#buckets.delete(this.#buckets.keys().next().value!);
    }
    if (bucket.failures + 1 > BURST) {
      return Math.ceil(((bucket.failures + 1 - BURST) * INTERVAL) / 1_000);
    }
    bucket.failures++;
    return 0;
  }

  get size(): number {
    return this.#buckets.size;
  }
}

/** What one host can be expected to have: an IPv4 address, or all of an IPv6 /64. */
export function sourceKey(source: string): string {
  const parsed = parseAddress(source.replace(/^::ffff:(?=[0-9.]+$)/i, '').replace(/%.*$/, ''));
  if (parsed === undefined || parsed.family === 4) {
    return parsed === undefined ? source : formatAddress(parsed.address);
  }
  return formatAddress(prefixOf(parsed.address, SITE_PREFIX_LENGTH).address);
}
