/**
 * Replicas whose bindings were kept over a restart of the edge. Their sessions with it look fine to
 * them, and nothing of what they send can be opened: the edge shakes hands with each of them, where it
 * was, until it is heard or its binding ends. Some at a time, so that packets get their turn.
 */
import type { RelayCore } from '../../control/relay/relay-core.ts';
import type { Instant } from '../../time.ts';
import type { ReplicaTable } from './replica-table.ts';

/** Replicas asked in one call of `tick`. */
const PER_TICK = 200;
/**
 * Milliseconds between one time and the next: an answer may have been lost, or kept off. Longer than a
 * keepalive interval: a handshake puts the replica's next keepalive off.
 */
const AGAIN = 25_000;

export class RestoredReplicas {
  readonly #core: RelayCore;
  readonly #replicas: ReplicaTable;
  /** Monotonic time of the next attempt by relay id, in order of time. */
  readonly #due = new Map<number, number>();

  constructor(core: RelayCore, replicas: ReplicaTable) {
    this.#core = core;
    this.#replicas = replicas;
  }

  /** These were restored. */
  add(relayIds: readonly number[], now: Instant): void {
    for (const relayId of relayIds) this.#due.set(relayId, now.monotonic);
  }

  /** Authenticated data of the replica has come: it has a session. */
  heard(relayId: number): void {
    if (this.#due.size > 0) this.#due.delete(relayId);
  }

  /** To be called about once a second. */
  tick(now: Instant): void {
    let left = PER_TICK;
    for (const [relayId, due] of [...this.#due]) {
      if (due > now.monotonic || left-- === 0) return;
      this.#due.delete(relayId);
      if (this.#shakeHands(relayId, now)) this.#due.set(relayId, now.monotonic + AGAIN);
    }
  }

  #shakeHands(relayId: number, now: Instant): boolean {
    const core = this.#core;
    if (!core.isBound(relayId)) return false;
    return this.#replicas.shakeHands(relayId, core.endpoints.words, core.slotOf(relayId), now);
  }
}
