/**
 * Bounds what replicas change in the registry: each change goes to all their peers and into the audit
 * log. A token bucket for each replica, filled with the objects that it may change.
 */
import { MAX_ROUTES_PER_CONNECTOR } from '../control/model.ts';
import { TooManyRequests } from './problem.ts';

/** All routes of a connector can be replaced by others twice in a row, with room for the requests. */
export const CHANGES_BURST = 5 * MAX_ROUTES_PER_CONNECTOR;
/** Objects a second that are given back. */
const RATE = 8;
/** What a request takes, whatever it changes: one in 4 s can go on for ever. */
export const REQUEST_COST = 32;
/** Those that change something; who changed nothing for longest is forgotten first. */
const MAX_REPLICAS_REMEMBERED = 8_192;

interface Bucket {
  left: number;
  /** When `left` was right; monotonic ms. */
  at: number;
}

export class ChangeLimiter {
  readonly #buckets = new Map<string, Bucket>();

  /**
   * Takes the cost of a change, or nothing if there is not enough.
   *
   * @param replica id
   * @param cost objects, at most CHANGES_BURST
   * @param now monotonic ms
   * @throws TooManyRequests
   */
  take(replica: string, cost: number, now: number): void {
    const before = this.#buckets.get(replica) ?? { left: CHANGES_BURST, at: now };
    const left = Math.min(CHANGES_BURST, before.left + ((now - before.at) / 1_000) * RATE);
    const enough = left >= cost;
    this.#buckets.delete(replica);
    this.#buckets.set(replica, { left: enough ? left - cost : left, at: now });
    if (this.#buckets.size > MAX_REPLICAS_REMEMBERED) {
      this.#buckets.delete(this.#buckets.keys().next().value!);
    }
    if (enough) return;
    const retryAfter = Math.ceil((cost - left) / RATE);
    throw new TooManyRequests(
      `This replica changes what it advertises too often: try again in ${retryAfter} s.`,
      retryAfter,
    );
  }

  get size(): number {
    return this.#buckets.size;
  }
}
