/**
 * The timers of all peers (whitepaper § 6): one table of deadlines and a heap over the peers.
 *
 * The data path stores a number in the table and nothing else: a peer's place in the heap is the time
 * at which it is to be looked at, never later than its earliest deadline but often earlier, because
 * moving a deadline back or taking it away leaves the heap alone. A peer looked at too early is put
 * back; that happens about once in ten seconds to a peer with traffic, and once a second to an edge
 * through whose relay there is some.
 */

/** All times in milliseconds, names from the whitepaper's § 6.1. */
export const REKEY_AFTER_TIME = 120_000;
export const REJECT_AFTER_TIME = 180_000;
export const REKEY_ATTEMPT_TIME = 90_000;
export const REKEY_TIMEOUT = 5_000;
export const KEEPALIVE_TIMEOUT = 10_000;

/**
 * Messages under one key. The whitepaper's 2^60 and 2^64 - 2^13 - 1 are no doubles; these are
 * stricter, and nobody sends 2^52 messages in REJECT_AFTER_TIME.
 */
export const REKEY_AFTER_MESSAGES = 2 ** 52;
export const REJECT_AFTER_MESSAGES = 2 ** 53 - 2 ** 13 - 1;

/** A retry waits up to this much longer, so that two initiators do not stay in step. */
export const REKEY_JITTER = 333;
/** Retries of an initiation, one each REKEY_TIMEOUT. */
export const MAX_HANDSHAKE_ATTEMPTS = REKEY_ATTEMPT_TIME / REKEY_TIMEOUT;
/** Initiations of one peer closer together than this are dropped. */
export const HANDSHAKE_INITIATION_RATE = 20;
/** Silence of a relay with traffic after which it is told where we are; ours, like the next. */
export const RELAY_SILENCE = 1_000;
/** It is told again after twice the time, up to this; from then on the persistent keepalive does. */
export const RELAY_PROBE_MAX = 8_000;

/** Sends the initiation again (§ 6.4). */
export const RETRANSMIT_HANDSHAKE = 0;
/** Answers data with a keepalive when we had nothing to send (§ 6.5). */
export const SEND_KEEPALIVE = 1;
/** Starts a handshake when data we sent got no answer (§ 6.5). */
export const NEW_HANDSHAKE = 2;
/** Wipes all sessions REJECT_AFTER_TIME * 3 after the last one was made (§ 6.3). */
export const ZERO_KEY_MATERIAL = 3;
/** Keeps NAT mappings alive (§ 6.5). */
export const PERSISTENT_KEEPALIVE = 4;
/** Of an edge: tells it where we are when its relay has gone silent (relay-watch.ts). */
export const RELAY_PROBE = 5;
/** An answer to a PING is due (paths.ts). */
export const PATH_PROBE = 6;

export const TIMER_COUNT = 7;

const NEVER = Number.POSITIVE_INFINITY;

export class Timers {
  #deadlines = new Float64Array(0);
  /** When to look at the peer. */
  #wake = new Float64Array(0);
  /** Peers, earliest wake first. */
  #heap = new Int32Array(0);
  /** Where in the heap a peer is, -1 = nowhere. */
  #place = new Int32Array(0);
  #size = 0;

  /** Makes room for peers below this number; to be called before their timers are touched. */
  reserve(peers: number): void {
    const had = this.#wake.length;
    if (peers <= had) return;
    const capacity = Math.max(peers, 16, had * 2);
    const deadlines = new Float64Array(capacity * TIMER_COUNT).fill(NEVER);
    deadlines.set(this.#deadlines);
    this.#deadlines = deadlines;
    const wake = new Float64Array(capacity).fill(NEVER);
    wake.set(this.#wake);
    this.#wake = wake;
    const heap = new Int32Array(capacity);
    heap.set(this.#heap);
    this.#heap = heap;
    const place = new Int32Array(capacity).fill(-1);
    place.set(this.#place);
    this.#place = place;
  }

  /** Sets a timer of a peer to go off at `at`, whatever it was set to. */
  arm(peer: number, timer: number, at: number): void {
    this.#deadlines[peer * TIMER_COUNT + timer] = at;
    if (at < this.#wake[peer]!) this.#setWake(peer, at);
  }

  disarm(peer: number, timer: number): void {
    this.#deadlines[peer * TIMER_COUNT + timer] = NEVER;
  }

  disarmAll(peer: number): void {
    const base = peer * TIMER_COUNT;
    this.#deadlines.fill(NEVER, base, base + TIMER_COUNT);
    this.#setWake(peer, NEVER);
  }

  /** When the timer goes off; Infinity if it is not set. */
  deadline(peer: number, timer: number): number {
    return this.#deadlines[peer * TIMER_COUNT + timer]!;
  }

  isArmed(peer: number, timer: number): boolean {
    return this.#deadlines[peer * TIMER_COUNT + timer] !== NEVER;
  }

  /** Not later than the earliest deadline; Infinity if there is none. */
  next(): number {
    return this.#size === 0 ? NEVER : this.#wake[this.#heap[0]!]!;
  }

  /** The peer that is to be looked at first, or -1 if none is yet. `settle` it afterwards. */
  due(now: number): number {
    return this.next() <= now ? this.#heap[0]! : -1;
  }

  /** Takes a timer that has gone off: true once, and it is no longer set. */
  take(peer: number, timer: number, now: number): boolean {
    const at = peer * TIMER_COUNT + timer;
    if (this.#deadlines[at]! > now) return false;
    this.#deadlines[at] = NEVER;
    return true;
  }

  /** Puts a peer back by its earliest deadline. */
  settle(peer: number): void {
    const base = peer * TIMER_COUNT;
    let earliest = NEVER;
    for (let i = base; i < base + TIMER_COUNT; i++) {
      const deadline = this.#deadlines[i]!;
      if (deadline < earliest) earliest = deadline;
    }
    this.#setWake(peer, earliest);
  }

  #setWake(peer: number, wake: number): void {
    this.#wake[peer] = wake;
    let at = this.#place[peer]!;
    if (wake === NEVER) {
      if (at >= 0) this.#remove(peer, at);
      return;
    }
    if (at < 0) at = this.#size++;
    this.#siftDown(peer, this.#siftUp(peer, at));
  }

  #remove(peer: number, at: number): void {
    this.#place[peer] = -1;
    const last = this.#heap[--this.#size]!;
    if (last !== peer) this.#siftDown(last, this.#siftUp(last, at));
  }

  /** Moves parents later than `peer` down from `at`; returns where it belongs, and puts it there. */
  #siftUp(peer: number, from: number): number {
    const heap = this.#heap;
    const wake = this.#wake[peer]!;
    let at = from;
    while (at > 0) {
      const up = (at - 1) >> 1;
      const parent = heap[up]!;
      if (this.#wake[parent]! <= wake) break;
      heap[at] = parent;
      this.#place[parent] = at;
      at = up;
    }
    heap[at] = peer;
    this.#place[peer] = at;
    return at;
  }

  #siftDown(peer: number, from: number): void {
    const heap = this.#heap;
    const wake = this.#wake[peer]!;
    let at = from;
    for (;;) {
      let down = 2 * at + 1;
      if (down >= this.#size) break;
      if (down + 1 < this.#size && this.#wake[heap[down + 1]!]! < this.#wake[heap[down]!]!) down++;
      const child = heap[down]!;
      if (this.#wake[child]! >= wake) break;
      heap[at] = child;
      this.#place[child] = at;
      at = down;
    }
    heap[at] = peer;
    this.#place[peer] = at;
  }
}
