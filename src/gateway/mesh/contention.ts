/**
 * How often somebody else takes away what we need in the kernel, and how long to wait before it is put
 * back: at once, unless it happens again and again. Two programs that undo each other without a pause
 * would use up the host. Pure: time comes in.
 */

/** This often it is put back at once. */
const PATIENCE = 4;
/** ms in which what is taken away counts once: one deed of others may be seen in several parts. */
const ONE_DEED = 500;
const FIRST_WAIT = 1_000;
export const MOST_WAIT = 60_000;
/** ms of peace after which all is forgotten. */
export const FORGET_AFTER = 5 * 60_000;

export class Contention {
  #times = 0;
  #since = 0;
  #last = 0;
  /** When the deed that was counted last was seen first. */
  #counted = Number.NEGATIVE_INFINITY;
  #what: readonly string[] = [];

  /** Something was taken away, and has been put back; all times in ms. */
  note(what: readonly string[], now: number): void {
    if (this.#times === 0 || now - this.#last > FORGET_AFTER) {
      this.#times = 0;
      this.#since = now;
    }
    this.#last = now;
    this.#what = what;
    if (this.#times > 0 && now - this.#counted < ONE_DEED) return;
    this.#counted = now;
    this.#times++;
  }

  /** ms from now until something may be put back again. */
  wait(now: number): number {
    const beyond = this.#times - PATIENCE;
    if (beyond < 0 || now - this.#last > FORGET_AFTER) return 0;
    const pause = Math.min(FIRST_WAIT * 2 ** beyond, MOST_WAIT);
    return Math.max(0, this.#last + pause - now);
  }

  /** What to tell the operator; undefined while it has not happened more often than by chance. */
  sentence(now: number): string | undefined {
    if (this.#times < PATIENCE || now - this.#last > FORGET_AFTER) return undefined;
    const since = new Date(this.#since).toISOString();
    const pause = Math.min(FIRST_WAIT * 2 ** (this.#times - PATIENCE), MOST_WAIT) / 1_000;
    return `Another program takes away what the mesh needs in the kernel (the last time ${this.#what.join(', ')}), ${this.#times} times since ${since}: it is put back, now after ${pause} s each time. Find that program: a network manager, a firewall that flushes everything, a script.`;
  }
}
