/**
 * Tells the edge what this replica advertises until it knows: at each connection, and again after
 * what passes, not sooner than the edge said (`Retry-After`).
 */
import { CausewayError } from '../../errors.ts';
import type { Log } from '../log.ts';
import { Backoff } from './backoff.ts';
import { EdgeRefusal } from './edge-client.ts';

export class Announcer {
  readonly #tell: () => Promise<void>;
  readonly #log: Log;
  readonly #backoff = new Backoff(Math.random);
  #telling = false;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;
  /** Why the last attempt failed, and whether there will be another. */
  fault: { readonly message: string; readonly again: boolean } | undefined;

  /** @param tell one attempt; does nothing when the edge knows already */
  constructor(tell: () => Promise<void>, log: Log) {
    this.#tell = tell;
    this.#log = log;
  }

  /** Nothing more while an attempt is under way or the edge wants to be left alone. */
  start(): void {
    if (this.#closed || this.#telling || this.#timer !== undefined) return;
    this.#telling = true;
    void this.#attempt().finally(() => {
      this.#telling = false;
    });
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  async #attempt(): Promise<void> {
    try {
      await this.#tell();
      this.#backoff.reset();
      this.fault = undefined;
    } catch (error) {
      const again = !(error instanceof EdgeRefusal) || error.mayPass;
      this.fault = { message: (error as Error).message, again };
      const code = error instanceof CausewayError ? error.code : undefined;
      const text = 'the edge did not take what is advertised';
      this.#log.warn({ code, err: error, again }, text);
      if (!again || this.#closed) return;
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
