/**
 * Tells the edge something of this replica until it knows, what it advertises for example: at each
 * connection, and again after what passes, not sooner than the edge said (`Retry-After`).
 */
import { CausewayError } from '../../errors.ts';
import type { Log } from '../log.ts';
import { Backoff } from './backoff.ts';
import { EdgeRefusal } from './edge-client.ts';
import type { Identity } from './identity.ts';
import type { Turns } from './turns.ts';

export class Announcer {
  readonly #tell: (signal: AbortSignal) => Promise<void>;
  readonly #ending = new AbortController();
  readonly #log: Log;
  readonly #what: string;
  readonly #backoff = new Backoff(Math.random);
  #telling = false;
  #timer: NodeJS.Timeout | undefined;
  /** Why the last attempt failed, and whether there will be another. */
  fault: { readonly message: string; readonly again: boolean } | undefined;

  /**
   * @param tell one attempt; does nothing when the edge knows already
   * @param what it is, for the log
   */
  constructor(tell: (signal: AbortSignal) => Promise<void>, log: Log, what = 'what is advertised') {
    this.#what = what;
    this.#tell = tell;
    this.#log = log;
  }

  /** Nothing more while an attempt is under way or the edge wants to be left alone. */
  start(): void {
    if (this.#ending.signal.aborted || this.#telling || this.#timer !== undefined) return;
    this.#telling = true;
    void this.#attempt().finally(() => {
      this.#telling = false;
    });
  }

  /** An attempt that is under way is given up. */
  close(): void {
    this.#ending.abort();
    clearTimeout(this.#timer);
  }

  async #attempt(): Promise<void> {
    try {
      await this.#tell(this.#ending.signal);
      this.#backoff.reset();
      this.fault = undefined;
    } catch (error) {
      if (this.#ending.signal.aborted) return;
      const again = !(error instanceof EdgeRefusal) || error.mayPass;
      this.fault = { message: (error as Error).message, again };
      const code = error instanceof CausewayError ? error.code : undefined;
      const text = `the edge did not take ${this.#what}`;
      this.#log.warn({ code, err: error, again }, text);
      if (!again) return;
      const least = (error instanceof EdgeRefusal && error.retryAfter) || 0;
      this.#timer = setTimeout(
        () => {
          this.#timer = undefined;
          this.start();
        },
        Math.max(least, this.#backoff.next()),
      ).unref();
    }
  }
}

export interface Advertised {
  readonly identity: () => Identity;
  /** Asks the edge, which may take long. */
  readonly ask: (identity: Identity) => Promise<unknown>;
  /** Replaces the identity, on the disk too. */
  readonly keep: (identity: Identity) => Promise<void>;
  readonly turns: Turns;
}

/**
 * One attempt. Nothing waits for the edge's answer: it takes a turn only to be written down, and what
 * is advertised since is told as well.
 */
export async function tellAdvertised(
  { identity, ask, keep, turns }: Advertised,
  signal: AbortSignal,
): Promise<void> {
  for (let told = identity(); told.advertisePending && told.gone === undefined; told = identity()) {
    await ask(told);
    await turns.take(async () => {
      const now = identity();
      const isTold =
        now.advertise === told.advertise &&
        now.allowDefault === told.allowDefault &&
        now.breakout === told.breakout;
      if (isTold) await keep({ ...now, advertisePending: false });
    });
    // No turn begins any more, so nothing was written down.
    if (signal.aborted) return;
  }
}
