/**
 * Whether this edge can do its work, for `/healthz`: its registry can be read and written, and its
 * relay runs. Everybody may ask, so the registry is tried at most once in CHECK_INTERVAL.
 */
import type { Logger } from 'pino';
import type { Store } from '../control/store.ts';
import { CausewayError } from '../errors.ts';
import type { RelayProcess } from './relay/relay.ts';

/** Ms. */
const CHECK_INTERVAL = 5_000;
/** Ms without a sign of life of the relay, which gives one about once a second. */
const SILENT_AFTER = 5_000;

export interface ReadinessOptions {
  readonly store: Pick<Store, 'probe'>;
  readonly relay: Pick<RelayProcess, 'closed' | 'silence'>;
  readonly log: Logger;
  /** Monotonic ms. */
  readonly now: () => number;
}

export class Readiness {
  readonly #options: ReadinessOptions;
  #checked = Number.NEGATIVE_INFINITY;
  /** The last look at the registry: what is wrong with it. */
  #registry: Promise<string | undefined> = Promise.resolve(undefined);
  #hasRelayEnded = false;
  /** As it was logged last. */
  #fault: string | undefined;
  #isRelaySilent = false;

  constructor(options: ReadinessOptions) {
    this.#options = options;
    void options.relay.closed.then(() => {
      this.#hasRelayEnded = true;
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
    const fault = this.#relayFault() ?? registry;
    if (fault === undefined) return;
    const text = `The edge cannot do its work: ${fault}. Its log says more.`;
    throw new CausewayError('NOT_SERVING', text);
  }

  #relayFault(): string | undefined {
    if (this.#hasRelayEnded) return 'its relay has ended';
    const { relay, log } = this.#options;
    const silence = relay.silence();
    const isSilent = silence >= SILENT_AFTER;
    const fault = 'its relay hangs, or cannot open its port';
    if (isSilent && !this.#isRelaySilent) log.error({ silence }, fault);
    if (!isSilent && this.#isRelaySilent) log.info('the relay runs again');
    this.#isRelaySilent = isSilent;
    return isSilent ? fault : undefined;
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
