/** How often and how many at once others may ask. Pure. */

/**
 * Of one asker, and of all: at once, and so many more every second. An answer is some ten commands, and the
 * host's whole ruleset to be read; a person asks once.
 */
const OF_ONE = { burst: 20, perSecond: 1 } as const;
const OF_ALL = { burst: 40, perSecond: 4 } as const;
/** At the same time, of one asker and of all. */
const MOST_OF_ONE = 2;
const MOST_OF_ALL = 4;
/** Askers remembered; the one that asked longest ago is forgotten for a new one. */
const MOST_ASKERS = 1_024;

interface Asker {
  readonly bucket: Bucket;
  open: number;
}

class Bucket {
  readonly #rate: { readonly burst: number; readonly perSecond: number };
  #tokens: number;
  /** ms. */
  #at: number;

  constructor(rate: { readonly burst: number; readonly perSecond: number }, now: number) {
    this.#rate = rate;
    this.#tokens = rate.burst;
    this.#at = now;
  }

  has(now: number): boolean {
    const { burst, perSecond } = this.#rate;
    this.#tokens = Math.min(burst, this.#tokens + ((now - this.#at) / 1_000) * perSecond);
    this.#at = now;
    return this.#tokens >= 1;
  }

  /** After `has`. */
  take(): void {
    this.#tokens--;
  }
}

export class AskLimits {
  /** In the order of their last questions. */
  readonly #askers = new Map<string, Asker>();
  #all: Bucket | undefined;
  #open = 0;

  /**
   * Undefined: not now. Otherwise to be called when the answer is given.
   *
   * @param now ms of a clock that does not jump
   */
  begin(name: string, now: number): (() => void) | undefined {
    const asker = this.#askers.get(name) ?? { bucket: new Bucket(OF_ONE, now), open: 0 };
    this.#all ??= new Bucket(OF_ALL, now);
    this.#askers.delete(name);
    this.#askers.set(name, asker);
    if (this.#askers.size > MOST_ASKERS) this.#forgetOne();
    const isFull = asker.open >= MOST_OF_ONE || this.#open >= MOST_OF_ALL;
    if (isFull || !asker.bucket.has(now) || !this.#all.has(now)) return undefined;
    asker.bucket.take();
    this.#all.take();
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
