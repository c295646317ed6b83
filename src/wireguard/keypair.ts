/** One session's transport keys as everything but the AEAD sees them (whitepaper § 5.4.5, 5.4.6). */
import type { Peer } from './peer.ts';
import { ReplayFilter } from './replay-filter.ts';
import { REJECT_AFTER_MESSAGES, REJECT_AFTER_TIME } from './timers.ts';

export class Keypair {
  readonly peer: Peer;
  /** Where the AEAD keeps the keys. */
  readonly slot: number;
  readonly localIndex: number;
  readonly remoteIndex: number;
  readonly isInitiator: boolean;
  /** Monotonic milliseconds. */
  readonly created: number;
  /** Counter of the next message to be sealed. */
  counter = 0;
  readonly replay = new ReplayFilter();

  constructor(
    peer: Peer,
    slot: number,
    localIndex: number,
    remoteIndex: number,
    isInitiator: boolean,
    created: number,
  ) {
    this.peer = peer;
    this.slot = slot;
    this.localIndex = localIndex;
    this.remoteIndex = remoteIndex;
    this.isInitiator = isInitiator;
    this.created = created;
  }

  /** Whether `count` more messages may be sealed with it. */
  maySeal(count: number, now: number): boolean {
    return this.counter + count <= REJECT_AFTER_MESSAGES && now - this.created < REJECT_AFTER_TIME;
  }
}
