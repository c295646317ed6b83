/**
 * Whether this edge can do its work, for `/healthz`: its registry can be read and written, and its
 * relay lives. Everybody may ask, so the registry is tried at most once in CHECK_INTERVAL.
 */
import type { Logger } from 'pino';
import type { Store } from '../control/store.ts';
import { CausewayError } from '../errors.ts';
import type { RelayProcess } from './relay/relay.ts';

/** Ms. */
const CHECK_INTERVAL = 5_000;

export interface ReadinessOptions {
  readonly store: Pick<Store, 'probe'>;
  readonly relay: Pick<RelayProcess, 'closed'>;
  readonly log: Logger;
  /** Monotonic ms. */
  readonly now: () => number;
}

export class Readiness {
  readonly #options: ReadinessOptions;
  #checked = Number.NEGATIVE_INFINITY;
  /** The last look at the registry: what is wrong with it. */
  #registry: Promise<string | undefined> = Promise.resolve(undefined);
  #relay: string | undefined;
  /** As it was logged last. */
  #fault: string | undefined;

  constructor(options: ReadinessOptions) {
    this.#options = options;
    void options.relay.closed.then(() => {
      this.#relay = 'its relay has ended';
    });
  }

  /** @throws CausewayError NOT_SERVING */
  async check(): Promise<void> {
    const now = this.#options.now();
    if (now - this.#checked >= CHECK_INTERVAL) {
      this.#checked = now;
      this.#registry = this.#probe();
    }
    const registry = await this.#registry;
    const fault = this.#relay ?? registry;
    if (fault === undefined) return;
    const text = `The edge cannot do its work: ${fault}. Its log says more.`;
    throw new CausewayError('NOT_SERVING', text);
  }

  async #probe(): Promise<string | undefined> {
    const { store, log } = this.#options;
    try {
      await store.probe();
      if (this.#fault !== undefined) log.info('the registry can be written again');
      this.#fault = undefined;
    } catch (error) {
      // Its text names files of this host, which is not for everybody.
      const code = error instanceof CausewayError ? ` (${error.code})` : '';
      const fault = `its registry cannot be written${code}`;
      if (this.#fault !== fault) log.error({ err: error }, fault);
      this.#fault = fault;
    }
    return this.#fault;
  }
}
