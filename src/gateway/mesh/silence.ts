/**
 * Finds peers that we send to and hear nothing from, by looking at their byte counters now and then.
 * A peer that is alive answers data within KEEPALIVE_TIMEOUT (10 s) at the latest; two intervals
 * without a byte in which something was sent, one after the other, are no coincidence. Pure.
 */
import { keyToBase64 } from '../../keys.ts';
import type { PeerSnapshot } from '../tunnel.ts';

/** Milliseconds between two looks. */
export const LOOK_INTERVAL = 30_000;

interface Looked {
  tx: number;
  rx: number;
  /** Since when nothing came although something was sent; undefined = all is well. */
  since: number | undefined;
  /** Looks that found it so. */
  looks: number;
}

export interface Counters {
  /** Public key. */
  readonly key: string;
  readonly txBytes: number;
  readonly rxBytes: number;
}

/** Of the data plane's peers. */
export function countersOf(peers: readonly PeerSnapshot[]): Counters[] {
  return peers.map(({ publicKey, txBytes, rxBytes }) => {
    return { key: keyToBase64(publicKey), txBytes, rxBytes };
  });
}

export class SilenceWatch {
  #peers = new Map<string, Looked>();
  #last = 0;

  /** @param now milliseconds since the Unix epoch */
  look(peers: Iterable<Counters>, now: number): void {
    const before = this.#peers;
    this.#peers = new Map();
    for (const { key, txBytes: tx, rxBytes: rx } of peers) {
      const looked = before.get(key) ?? { tx, rx, since: undefined, looks: 0 };
      if (rx !== looked.rx) {
        looked.since = undefined;
        looked.looks = 0;
      } else if (tx > looked.tx) {
        looked.since ??= this.#last;
        looked.looks++;
      }
      this.#peers.set(key, { ...looked, tx, rx });
    }
    this.#last = now;
  }

  /** Since when a peer is silent; undefined = it is not. */
  since(key: string): number | undefined {
    const looked = this.#peers.get(key);
    return looked !== undefined && looked.looks >= 2 ? looked.since : undefined;
  }
}
