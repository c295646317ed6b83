/**
 * Search for the largest inner packet that a path carries (RFC 8899, DPLPMTUD), by padded PINGs.
 *
 * A round is a ladder of sizes, all probed at once, smallest first: the largest size answered is the
 * floor, the smallest one that MAX_PROBES probes got no answer for is the ceiling, and the next round
 * is between them. The first round begins with what every underlay carries and ends with the top, so
 * that a path without a narrow link is found in one round trip.
 *
 * In force is the base until something was answered, then the floor. What was found once stays in force
 * until probes of its size have failed while smaller ones are answered: a path that carries nothing at
 * all is no narrow one.
 *
 * Sizes are multiples of 16, or the top: then a packet and its padding are within the same size.
 * Time comes in, as does `wait`, the milliseconds after which an answer will not come any more.
 */
import { PADDING } from './messages.ts';

/** BASE_PLPMTU: what is used before anything is known; what IPv6 asks of every link. */
export const BASE_MTU = 1_280;
/** An underlay of 1280 bytes leaves it over IPv6: 40 of IP, 8 of UDP, 32 of a transport message. */
export const NARROW_MTU = 1_200;
/** MIN_PLPMTU: an underlay of 576 bytes, IPv4's least, leaves it. */
export const MIN_MTU = 512;
/** PMTU_RAISE_TIMER: how long what was found is enough. */
export const RAISE_TIMER = 600_000;
/** It begins with this and doubles: what only looked narrow, a host without time say, is soon put right. */
export const FIRST_RAISE = 10_000;
/** Probes of one size until it counts as too long; while nothing at all is answered, each waits twice as long. */
export const MAX_PROBES = 3;

/** Milliseconds between the answers to probes that were sent together. */
const SETTLE_TIME = 25;
const LADDER = 4;
const NEVER = Number.POSITIVE_INFINITY;

export type PathMtuState = 'searching' | 'confirmed' | 'unanswered';

export class PathMtu {
  /** When `handleTimeout` is to be called, monotonic. */
  deadline = NEVER;
  #top: number;
  /** Found by a search that has ended; 0 = none has. */
  #held = 0;
  #floor = 0;
  /** Sizes from it on do not get through. */
  #ceiling: number;
  #searching = false;
  /** Probes the size in force only. */
  #confirming = false;
  readonly #sizes = new Int32Array(LADDER);
  #count = 0;
  /** Which of them is to be sent next. */
  #next = 0;
  #probes = 0;
  /** In the first round, whose answers may still come in. */
  #isFirst = false;
  /** When answers of that round will not come any more, once some have. */
  #settled = NEVER;
  /** What the search began with as ceiling. */
  #limit: number;
  /** The last search got no answer at all, and none has come since. */
  #isLost = false;
  #raiseAt = NEVER;
  #raiseAfter = FIRST_RAISE;

  /** @param top bytes of the largest inner packet there is to be: the TUN's MTU */
  constructor(top: number) {
    this.#top = top;
    this.#ceiling = top + 1;
    this.#limit = top + 1;
  }

  /** Bytes of the largest inner packet to be sent now. */
  get mtu(): number {
    if (this.isGuess) return Math.min(BASE_MTU, this.#top);
    if (this.#floor >= this.#held) return this.#floor;
    return this.#ceiling > this.#held || this.#floor === 0 ? this.#held : this.#floor;
  }

  /** `unanswered`: of no probe came an answer, the path is broken. */
  get state(): PathMtuState {
    if (this.#isLost) return 'unanswered';
    if (!this.#searching) return this.#held > 0 ? 'confirmed' : 'searching';
    return this.#held > 0 && this.mtu >= this.#held ? 'confirmed' : 'searching';
  }

  /** Nothing is known of this path, or the answers to the first probes are still coming in. */
  get isGuess(): boolean {
    return this.#held === 0 && (this.#floor === 0 || this.#isFirst);
  }

  /** The first probes were just sent: what they say is worth waiting for. */
  get isSettling(): boolean {
    return this.#held === 0 && this.#isFirst;
  }

  get isSearching(): boolean {
    return this.#searching;
  }

  get top(): number {
    return this.#top;
  }

  /** Another path, or another top: nothing is known, and nothing is looked for yet. */
  reset(top: number): void {
    this.stop();
    this.#top = top;
    this.#ceiling = top + 1;
    this.#held = 0;
    this.#floor = 0;
    this.#isFirst = false;
    this.#isLost = false;
    this.#raiseAt = NEVER;
    this.#raiseAfter = FIRST_RAISE;
  }

  /**
   * Looks for all there is. What was found before, by another path perhaps, stays in force until it
   * proves too much.
   */
  start(now: number, wait: number): void {
    this.#raiseAfter = FIRST_RAISE;
    this.#begin(0, this.#top + 1, now, wait);
    this.#isFirst = true;
  }

  /** Large packets are sent: whether they still get through. */
  confirm(now: number, wait: number): void {
    if (this.#searching) return;
    if (this.#held === 0) {
      this.start(now, wait);
      return;
    }
    this.#floor = 0;
    this.#ceiling = this.#held + 1;
    this.#limit = this.#ceiling;
    this.#confirming = true;
    this.#sizes[0] = this.#held;
    this.#count = 1;
    this.#startRound(now, wait);
  }

  /** Looks for more, if it is time to; true if it is. */
  raise(now: number, wait: number): boolean {
    if (this.#searching || now < this.#raiseAt) return false;
    this.#begin(this.#held, this.#top + 1, now, wait);
    return true;
  }

  /** The network has changed: it is time to look for more. */
  raiseSoon(): void {
    if (this.#held === 0 || this.#held === this.#top) return;
    this.#raiseAt = Number.NEGATIVE_INFINITY;
    this.#raiseAfter = FIRST_RAISE;
  }

  /** Ends; what was found is kept. */
  stop(): void {
    this.#searching = false;
    this.#confirming = false;
    this.#count = 0;
    this.deadline = NEVER;
  }

  /** The size of a probe to be sent now, 0 = none. */
  pollProbe(): number {
    while (this.#next < this.#count) {
      const size = this.#sizes[this.#next++]!;
      if (size > this.#floor) return size;
    }
    return 0;
  }

  /** A probe of this size was answered, perhaps one of an earlier round. */
  handleAnswer(size: number, now: number, wait: number): void {
    this.#isLost = false;
    // Measurements of the round trip are no probes.
    if (size > this.#top || size < MIN_MTU) return;
    if (!this.#searching) {
      if (size > this.#held) this.#begin(size, this.#top + 1, now, wait);
      return;
    }
    if (size <= this.#floor) return;
    // As long as nothing was answered the path may have been broken: that says nothing about sizes.
    if (this.#floor === 0) this.#ceiling = this.#limit;
    this.#floor = size;
    // It only took longer than we waited.
    if (size >= this.#ceiling) this.#ceiling = this.#top + 1;
    if (size >= this.#sizes[this.#count - 1]!) {
      this.#nextRound(now, wait);
    } else {
      // The others went at the same time: what is on its way takes no longer than this one did.
      this.#settled = Math.min(this.deadline, now + wait);
      this.deadline = this.#isFirst ? now + SETTLE_TIME : this.#settled;
    }
  }

  handleTimeout(now: number, wait: number): void {
    if (!this.#searching || now < this.deadline) return;
    if (this.#isFirst && this.#floor > 0) {
      this.#isFirst = false;
      this.deadline = this.#settled;
      if (now < this.deadline) return;
    }
    this.#isFirst = false;
    if (this.#probes < MAX_PROBES) {
      // What gets through instead, if its size no longer does, is asked at the same time.
      if (this.#confirming) this.#count = this.#ladder(0, this.#ceiling);
      this.#confirming = false;
      this.#startProbes(now, wait);
      return;
    }
    for (let i = 0; i < this.#count; i++) {
      if (this.#sizes[i]! <= this.#floor) continue;
      this.#ceiling = this.#sizes[i]!;
      break;
    }
    this.#nextRound(now, wait);
  }

  #begin(floor: number, ceiling: number, now: number, wait: number): void {
    this.#floor = floor;
    this.#ceiling = ceiling;
    this.#limit = ceiling;
    this.#nextRound(now, wait);
  }

  #nextRound(now: number, wait: number): void {
    this.#isFirst = false;
    this.#confirming = false;
    this.#count = this.#ladder(this.#floor, this.#ceiling);
    if (this.#count > 0) this.#startRound(now, wait);
    else this.#end(now);
  }

  #startRound(now: number, wait: number): void {
    this.#searching = true;
    this.#probes = 0;
    this.#startProbes(now, wait);
  }

  #startProbes(now: number, wait: number): void {
    this.#next = 0;
    // While answers come, the path is there: what is on its way takes no longer than they did.
    this.deadline = now + (this.#floor > 0 ? wait : wait * 2 ** this.#probes);
    this.#probes++;
  }

  #end(now: number): void {
    this.stop();
    if (this.#floor === 0) {
      this.#ceiling = this.#top + 1;
      this.#isLost = true;
      return;
    }
    const another = this.#floor !== this.#held;
    if (another) this.#raiseAfter = FIRST_RAISE;
    this.#held = this.#floor;
    if (this.#held === this.#top) {
      this.#raiseAt = NEVER;
    } else if (another || this.#raiseAt <= now) {
      this.#raiseAt = now + this.#raiseAfter;
      this.#raiseAfter = Math.min(2 * this.#raiseAfter, RAISE_TIMER);
    }
  }

  /** Fills `#sizes` with those to be probed between two, ascending; how many. */
  #ladder(floor: number, ceiling: number): number {
    const most = ceiling > this.#top ? this.#top : snap(ceiling - 1);
    let count = 0;
    const put = (size: number): void => {
      const last = count === 0 ? floor : this.#sizes[count - 1]!;
      if (size > last && size >= MIN_MTU && size <= most) this.#sizes[count++] = size;
    };
    if (floor === 0 && most >= NARROW_MTU) {
      put(NARROW_MTU);
      put(BASE_MTU);
      if (most > BASE_MTU) put(snap((BASE_MTU + most) / 2));
      put(most);
      return count;
    }
    const from = Math.max(floor, MIN_MTU - PADDING);
    for (let k = 1; k <= LADDER; k++) {
      put(k === LADDER ? most : snap(from + ((most - from) * k) / LADDER));
    }
    return count;
  }
}

function snap(size: number): number {
  return Math.floor(size / PADDING) * PADDING;
}
