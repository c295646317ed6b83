/**
 * Makes bindings of what the edge's own WireGuard hears (DESIGN § 2).
 *
 * An authenticated message binds its sender to the address it came from, as WireGuard roams. Its source
 * may be forged, though: a replica that can do that could take the address of any other, of any virtual
 * network. So an address that is bound to another replica is claimed only. The edge asks at the address,
 * with a handshake initiation that goes there and nowhere else; who answers it from there has it. As
 * little as that is sent in vain: one initiation a second for each replica that claims.
 */
import type { RelayCore } from '../../control/relay/relay-core.ts';
import type { Instant } from '../../time.ts';
import { ENDPOINT_RECORD_WORDS } from '../../vector.ts';
import type { Device } from '../../wireguard/device.ts';
import type { ReplicaTable } from './replica-table.ts';

/** Milliseconds from one question to a replica to the next. */
const ASK_AGAIN = 1_000;
/** Milliseconds after which a claim that was not answered is forgotten. */
const FORGET = 10_000;

/**
 * Farewells of a replica that count: some at once, as of one that is restarted and then stopped, and one in
 * so many milliseconds. Each is recorded, and may move the prefixes of its connector: whoever comes and
 * goes without end is waited for as one who was killed.
 */
const FAREWELLS_AT_ONCE = 4;
const FAREWELL_INTERVAL = 10_000;

/** A replica was bound, to the address of record `record`. */
export type BoundListener = (relayId: number, words: Int32Array, record: number) => void;

interface Claim {
  /** One endpoint record: where the replica says it is. */
  readonly words: Int32Array;
  /** Monotonic time of the question. */
  readonly asked: number;
}

export class Binder {
  readonly #device: Device;
  readonly #core: RelayCore;
  readonly #replicas: ReplicaTable;
  readonly #onBound: BoundListener;
  /** The last claim by relay id, oldest first; as many as there are replicas at most. */
  readonly #claims = new Map<number, Claim>();
  /** By relay id: monotonic time from when on as many farewells count at once as ever. */
  readonly #farewells = new Map<number, number>();

  constructor(device: Device, core: RelayCore, replicas: ReplicaTable, onBound: BoundListener) {
    this.#device = device;
    this.#core = core;
    this.#replicas = replicas;
    this.#onBound = onBound;
  }

  /** Authenticated transport data of a replica has come from record `record`. */
  heard(relayId: number, words: Int32Array, record: number, now: Instant): void {
    const result = this.#bind(relayId, words, record, now, false);
    if (result === 'contested') this.#ask(relayId, words, record, now);
  }

  /** A handshake that the edge has initiated with a replica is done. */
  answered(relayId: number, now: Instant): void {
    const claim = this.#claims.get(relayId);
    if (claim === undefined) return;
    const peer = this.#replicas.peerOf(relayId);
    if (peer < 0 || !this.#device.answeredFrom(peer, claim.words, 0)) return;
    this.#claims.delete(relayId);
    this.#bind(relayId, claim.words, 0, now, true);
  }

  /** The replica says that it ends. True if it was bound, and is not any more. */
  left(relayId: number, { monotonic }: Instant): boolean {
    this.#claims.delete(relayId);
    const used = Math.max(monotonic, this.#farewells.get(relayId) ?? monotonic) - monotonic;
    const isTooOften = used > (FAREWELLS_AT_ONCE - 1) * FAREWELL_INTERVAL;
    if (isTooOften || !this.#core.isBound(relayId)) return false;
    this.#farewells.set(relayId, monotonic + used + FAREWELL_INTERVAL);
    this.#core.unbind(relayId);
    return true;
  }

  /** To be called about once a second. */
  tick({ monotonic }: Instant): void {
    for (const [relayId, { asked }] of this.#claims) {
      if (monotonic - asked < FORGET) break;
      this.#claims.delete(relayId);
    }
    for (const [relayId, until] of this.#farewells) {
      if (until <= monotonic) this.#farewells.delete(relayId);
    }
  }

  #bind(relayId: number, words: Int32Array, record: number, now: Instant, proven: boolean) {
    const result = this.#core.bind(relayId, words, record, now.monotonic, proven);
    if (result === 'bound' || result === 'moved') this.#onBound(relayId, words, record);
    return result;
  }

  #ask(relayId: number, words: Int32Array, record: number, now: Instant): void {
    const claim = this.#claims.get(relayId);
    if (claim !== undefined && now.monotonic - claim.asked < ASK_AGAIN) return;
    if (!this.#replicas.shakeHands(relayId, words, record, now)) return;
    const from = record * ENDPOINT_RECORD_WORDS;
    this.#claims.delete(relayId);
    this.#claims.set(relayId, {
      words: words.slice(from, from + ENDPOINT_RECORD_WORDS),
      asked: now.monotonic,
    });
  }
}
