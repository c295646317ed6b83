/**
 * The gateway's metrics endpoint as the daemon holds it: off, or listening where the settings say.
 * What it needs is loaded when it is switched on, so that a gateway without it pays nothing.
 *
 * An address that cannot be listened on (a management interface that is not up yet, a port that is
 * taken) keeps no traffic back: it is said in the log and tried again.
 */
import { CausewayError } from '../../errors.ts';
import type { Log } from '../log.ts';
import type { MetricsSource } from './gateway-metrics.ts';
import { LISTEN_ADDRESS_FORM, parseListenAddress } from './listen-address.ts';

const AGAIN_AFTER_MS = 5_000;

export interface MetricsEndpointOptions {
  readonly source: MetricsSource;
  readonly log: Log;
  readonly onWarning: (message: string) => void;
}

export class MetricsEndpoint {
  readonly #options: MetricsEndpointOptions;
  #wanted: string | undefined;
  #server: { close(): Promise<void> } | undefined;
  #again: NodeJS.Timeout | undefined;
  /** Changes are made one after the other. */
  #changing: Promise<void> = Promise.resolve();

  constructor(options: MetricsEndpointOptions) {
    this.#options = options;
  }

  /** Listens there from now on; undefined = nowhere. Resolves when that is done, or tried. */
  use(address: string | undefined): Promise<void> {
    this.#wanted = address;
    return this.#change();
  }

  async close(): Promise<void> {
    await this.use(undefined);
  }

  #change(): Promise<void> {
    this.#changing = this.#changing.then(() => this.#apply());
    return this.#changing;
  }

  async #apply(): Promise<void> {
    const { source, log, onWarning } = this.#options;
    const address = this.#wanted;
    const isRetry = this.#again !== undefined;
    clearTimeout(this.#again);
    this.#again = undefined;
    await this.#server?.close();
    this.#server = undefined;
    if (address === undefined) return;
    try {
      const { openMetricsServer } = await import('./metrics-server.ts');
      this.#server = await openMetricsServer(checkListenAddress(address), source);
      log.info({ address }, 'metrics are served');
    } catch (error) {
      const { message } = error as Error;
      const text = `Metrics cannot be served on ${address}: ${message}. Traffic does not depend on it; it is tried again every ${AGAIN_AFTER_MS / 1_000} s.`;
      if (!isRetry) onWarning(text);
      this.#again = setTimeout(() => void this.#change(), AGAIN_AFTER_MS).unref();
    }
  }
}

/** @throws CausewayError CONFIG_VALUE */
export function checkListenAddress(text: string): { readonly host: string; readonly port: number } {
  const address = parseListenAddress(text);
  if (address !== undefined) return address;
  throw new CausewayError(
    'CONFIG_VALUE',
    `${text} is no place for metrics: give ${LISTEN_ADDRESS_FORM}.`,
  );
}
