/**
 * What is known of the way to one peer of our own kind: its round-trip time, the PINGs under way, and
 * how many of the peer's own PINGs are answered.
 */
import { PathMtu } from './path-mtu.ts';
import { RoundTrip } from './round-trip.ts';

/** PINGs whose answer is still recognised; of a search, all that are sent in a second or so. */
const SENT = 32;
/** PINGs that wait to be sent: more than a search asks for at once. */
const WANTED = 8;
/** PINGs of a peer that are answered: several searches at once, but no flood. */
const PINGS_PER_SECOND = 64;
const PING_BURST = 64;

export class Path {
  readonly roundTrip = new RoundTrip();
  readonly search: PathMtu;
  /** The MTU that was told last, 0 = not known. */
  announced = 0;
  /** Monotonic time of the last answer. */
  measuredAt = Number.NEGATIVE_INFINITY;
  /** Bytes of plaintext of the PINGs to be sent. */
  readonly #wanted = new Int32Array(WANTED);
  #wantedCount = 0;
  /** PINGs sent, a ring; size 0 = answered, or never used. */
  readonly #ids = new Uint32Array(2 * SENT);
  readonly #sizes = new Int32Array(SENT);
  readonly #sentAt = new Float64Array(SENT);
  #next = 0;
  #tokens = PING_BURST;
  #tokensAt = 0;

  /** @param top bytes of the largest inner packet there is to be */
  constructor(top: number) {
    this.search = new PathMtu(top);
  }

  /** Asks for a PING of so many bytes of plaintext. */
  want(size: number): void {
    if (this.#wantedCount < WANTED) this.#wanted[this.#wantedCount++] = size;
  }

  /** Bytes of the PING to be sent next, 0 = none. */
  get nextSize(): number {
    return this.#wantedCount === 0 ? 0 : this.#wanted[0]!;
  }

  /** That PING is sent with this id. */
  sent(id0: number, id1: number, now: number): void {
    const at = this.#next;
    this.#next = (at + 1) % SENT;
    this.#ids[2 * at] = id0;
    this.#ids[2 * at + 1] = id1;
    this.#sizes[at] = this.#wanted[0]!;
    this.#sentAt[at] = now;
    this.#wanted.copyWithin(0, 1, this.#wantedCount--);
  }

  /** Nothing can be sent: PINGs that wait are no longer wanted. */
  unwant(): void {
    this.#wantedCount = 0;
  }

  /** A PONG with this id came: the size of its PING, 0 if there is none. Counts once. */
  answered(id0: number, id1: number, now: number): number {
    for (let at = 0; at < SENT; at++) {
      const size = this.#sizes[at]!;
      if (size === 0 || this.#ids[2 * at] !== id0 || this.#ids[2 * at + 1] !== id1) continue;
      this.#sizes[at] = 0;
      this.roundTrip.add(now - this.#sentAt[at]!);
      this.measuredAt = now;
      return size;
    }
    return 0;
  }

  /** Whether one more PING of the peer is answered now. */
  mayAnswer(now: number): boolean {
    const earned = ((now - this.#tokensAt) * PINGS_PER_SECOND) / 1_000;
    this.#tokens = Math.min(PING_BURST, this.#tokens + earned);
    this.#tokensAt = now;
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }

  /** Another path: what was sent by the one before says nothing about it. */
  forget(): void {
    this.#wantedCount = 0;
    this.#sizes.fill(0);
    this.roundTrip.clear();
    this.measuredAt = Number.NEGATIVE_INFINITY;
  }
}
