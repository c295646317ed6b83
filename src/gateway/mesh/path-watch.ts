/**
 * Hears from the data plane which paths carry less than the interface, and has the kernel's routes follow.
 * A search goes through several sizes within moments: what they come to is installed once.
 */
import { keyToBase64 } from '../../keys.ts';
import type { Tunnel } from '../tunnel.ts';
import type { PathMtus } from './route-mtus.ts';

const SETTLE_MS = 50;

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
    if (this.#timer !== undefined || this.#closed) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      void this.#options.act();
    }, SETTLE_MS);
  }
}
