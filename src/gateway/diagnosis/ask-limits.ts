/** How often and how many at once others may ask. Pure. */

/** Of one asker: at once, and so many more every second. */
const BURST = 20;
const PER_SECOND = 4;
/** At the same time, of one asker and of all. */
const MOST_OF_ONE = 2;
const MOST_OF_ALL = 4;
/** Askers remembered; the one that asked longest ago is forgotten for a new one. */
const MOST_ASKERS = 1_024;

interface Asker {
  tokens: number;
  /** ms. */
  at: number;
  open: number;
}

export class AskLimits {
  /** In the order of their last questions. */
  readonly #askers = new Map<string, Asker>();
  #open = 0;

  /**
   * Undefined: not now. Otherwise to be called when the answer is given.
   *
   * @param now ms of a clock that does not jump
   */
  begin(name: string, now: number): (() => void) | undefined {
    const asker = this.#askers.get(name) ?? { tokens: BURST, at: now, open: 0 };
    asker.tokens = Math.min(BURST, asker.tokens + ((now - asker.at) / 1_000) * PER_SECOND);
    asker.at = now;
    this.#askers.delete(name);
    this.#askers.set(name, asker);
    if (this.#askers.size > MOST_ASKERS) this.#forgetOne();
    const isFull = asker.open >= MOST_OF_ONE || this.#open >= MOST_OF_ALL;
    if (asker.tokens < 1 || isFull) return undefined;
    asker.tokens--;
    asker.open++;
    this.#open++;
    let isOpen = true;
    return () => {
      if (!isOpen) return;
      isOpen = false;
      asker.open--;
      this.#open--;
    };
  }

  #forgetOne(): void {
    const [oldest] = this.#askers.keys();
    if (oldest !== undefined) this.#askers.delete(oldest);
  }
}
