/**
 * Hears from the data plane which paths carry less than the interface, and has the kernel's routes follow.
 * A search goes through several sizes within moments: what they come to is installed once.
 */
import { keyToBase64 } from '../../keys.ts';
import type { Tunnel } from '../tunnel.ts';
import type { PathMtus } from './route-mtus.ts';

const SETTLE_MS = 50;
/**
 * The next time is at least so many times as long after the one before as that took: planning 100,000 routes
 * takes a while, and a peer that answers PINGs as it likes has another MTU as often as it likes.
 */
const REST = 9;
/** It may have waited for its turn, and what is out of date meanwhile is cut or refused (oversize.ts). */
const MOST_REST_MS = 5_000;

export interface PathWatchOptions {
  readonly tunnel: Pick<Tunnel, 'watchPaths'>;
  /** Bytes; of the interface. */
  readonly mtu: number;
  /** Has routes with other MTUs installed; not rejected. */
  readonly act: () => Promise<void>;
}

export class PathWatch {
  /** Of the paths that carry less than the interface. */
  readonly mtus: PathMtus;
  readonly #options: PathWatchOptions;
  #timer: NodeJS.Timeout | undefined;
  #acting = false;
  #restUntil = 0;
  /** Something has changed since it began to act. */
  #isStale = false;
  #closed = false;

  constructor(options: PathWatchOptions) {
    this.#options = options;
    const mtus = new Map<string, number>();
    this.mtus = mtus;
    options.tunnel.watchPaths((publicKey, mtu) => {
      const key = keyToBase64(publicKey);
      const narrow = mtu > 0 && mtu < options.mtu;
      if (narrow ? mtus.get(key) === mtu : !mtus.has(key)) return;
      if (narrow) mtus.set(key, mtu);
      else mtus.delete(key);
      this.#soon();
    });
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  #soon(): void {
    this.#isStale = true;
    if (this.#timer !== undefined || this.#acting || this.#closed) return;
    const rest = this.#restUntil - performance.now();
    this.#timer = setTimeout(() => void this.#act(), Math.max(SETTLE_MS, rest));
  }

  async #act(): Promise<void> {
    this.#timer = undefined;
    this.#isStale = false;
    this.#acting = true;
    const began = performance.now();
    await this.#options.act();
    const ended = performance.now();
    this.#acting = false;
    this.#restUntil = ended + Math.min(REST * (ended - began), MOST_REST_MS);
    if (this.#isStale) this.#soon();
  }
}
