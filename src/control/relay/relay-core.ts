/**
 * The relay's decisions (DESIGN § 2): for each run of received messages, which binding it is forwarded
 * to, or that it is for the edge itself, or why it is dropped.
 *
 * A message says its destination's relay id in the three reserved bytes and nothing more, so the relay
 * keeps no state per session. It forwards from bound addresses only, inside one virtual network only,
 * as much as the source's token buckets allow, and never answers: no open relay, no amplifier.
 * Bindings change only by `bind`, which the caller calls for authenticated messages.
 *
 * `decide` is the hot path: once per run, over caller-owned vectors, without allocation.
 */
import type { InboundVector } from '../../vector.ts';
import { decodeBindings, encodeBindings } from './binding-records.ts';
import { Bindings, NO_SLOT } from './bindings.ts';
import { PairCounters } from './pair-counters.ts';
import { type PairClasses, PairPermissions } from './pair-permissions.ts';
import { RelayDropCounters, type RelayDropReason } from './relay-drops.ts';

/** Results of `decide` that are no slot. */
export const FOR_EDGE = -1;
export const DROPPED = -2;

/** Message types 1 to 4 and their lengths (whitepaper § 5.4); transport data is padded to 16 bytes. */
const TYPE_INITIATION = 1;
const TYPE_TRANSPORT = 4;
/** By type: initiation, response, cookie reply. */
const HANDSHAKE_SIZES = [0, 148, 92, 64] as const;
const KEEPALIVE_SIZE = 32;
/** A farewell (wireguard/farewells.ts): beside keepalives the only data for the edge itself. */
const FAREWELL_SIZE = 48;

export interface RelayLimits {
  /** Replicas that may be known at a time. */
  readonly capacity: number;
  /** Pairs counted each for itself, a power of two. */
  readonly pairs: number;
  /** Handshake messages of one source. */
  readonly handshakesPerSecond: number;
  readonly handshakeBurst: number;
  /** Transport data of one source: both are paid from one bucket, as shares of a second. */
  readonly bytesPerSecond: number;
  readonly messagesPerSecond: number;
  /** How much of its allowance a source that was silent may send at once, in ms. */
  readonly burst: number;
  /** After how long without an authenticated message a binding ends, in ms. */
  readonly bindingTimeout: number;
}

/**
 * 400 handshake messages at once and 100 a second: a gateway that starts with a few hundred peers.
 * 10 Gbit/s and 2 M messages a second: more than a source gets through, so that only a flood meets it.
 * 70 s: three keepalives of 20 s may be lost.
 */
export const DEFAULT_RELAY_LIMITS: RelayLimits = {
  capacity: 65_536,
  pairs: 65_536,
  handshakesPerSecond: 100,
  handshakeBurst: 400,
  bytesPerSecond: 1.25e9,
  messagesPerSecond: 2e6,
  burst: 100,
  bindingTimeout: 70_000,
};

export type BindResult =
  /** The relay id is not admitted: nothing was bound. */
  | 'refused'
  /** The address is bound to another, and no proof was given: nothing has changed. */
  | 'contested'
  /** As before; its time is prolonged. */
  | 'same'
  /** It was bound elsewhere. */
  | 'moved'
  /** It was not bound. */
  | 'bound';

export class RelayCore {
  readonly drops: RelayDropCounters;
  readonly pairs: PairCounters;
  /** Relay id of the source of the run decided last; 0 = the source is not bound. */
  source = 0;
  readonly #limits: RelayLimits;
  readonly #bindings: Bindings;
  readonly #permissions: PairPermissions;
  /** By slot: handshake messages that may be sent now, as of the time in `#handshakeAt`. */
  readonly #handshakes: Float64Array;
  readonly #handshakesAt: Float64Array;
  /** By slot: ms of allowance left; below zero by one run at most. */
  readonly #allowance: Float64Array;
  readonly #allowanceAt: Float64Array;
  /** Lost their address to another since `pollUnbound`; as many as there are replicas at most. */
  readonly #displaced = new Set<number>();
  /** Since `pollUnbound`. */
  #expelled = false;
  readonly #byteCost: number;
  readonly #messageCost: number;

  /**
   * @param seed a random 32-bit number
   * @param pairs with as many places as the limits say
   */
  constructor(
    seed: number,
    limits: Partial<RelayLimits> = {},
    drops = new RelayDropCounters(),
    pairs?: PairCounters,
  ) {
    this.#limits = { ...DEFAULT_RELAY_LIMITS, ...limits };
    const { capacity } = this.#limits;
    this.drops = drops;
    this.pairs = pairs ?? new PairCounters(this.#limits.pairs);
    this.#bindings = new Bindings(capacity, seed);
    this.#permissions = new PairPermissions(capacity);
    this.#handshakes = new Float64Array(capacity);
    this.#handshakesAt = new Float64Array(capacity);
    this.#allowance = new Float64Array(capacity);
    this.#allowanceAt = new Float64Array(capacity);
    this.#byteCost = 1_000 / this.#limits.bytesPerSecond;
    this.#messageCost = 1_000 / this.#limits.messagesPerSecond;
  }

  /** Endpoint records by slot: what `decide` returns is an index here. */
  get endpoints(): Bindings['endpoints'] {
    return this.#bindings.endpoints;
  }

  /** Replicas admitted. */
  get size(): number {
    return this.#bindings.size;
  }

  /**
   * Lets a replica of the registry be bound and reached. `vnet`: any number > 0 of the caller's for the
   * virtual network. False when the table is full.
   */
  admit(relayId: number, vnet: number): boolean {
    if (!(vnet > 0)) throw new RangeError(`no virtual network: ${vnet}`);
    const known = this.#bindings.slotOf(relayId) >= 0;
    const slot = this.#bindings.add(relayId, vnet);
    if (slot === NO_SLOT) return false;
    if (!known) this.#fill(slot);
    return true;
  }

  /** Forgets a replica with its binding: nothing from or to it is forwarded any more. */
  expel(relayId: number): void {
    const slot = this.#bindings.slotOf(relayId);
    if (slot < 0) return;
    this.#bindings.remove(slot);
    this.#permissions.forget(slot);
    this.#expelled = true;
  }

  /**
   * Restricts the pairs of a network's replicas; undefined lifts that. Who is admitted later is not
   * restricted until this is called again. `vnet`: any name of the caller's.
   */
  setPairs(vnet: string, pairs: PairClasses | undefined): void {
    this.#permissions.set(vnet, pairs, (relayId) => this.#bindings.slotOf(relayId));
  }

  /**
   * Record `record` of `words` is where an authenticated message of this replica came from. Its source
   * may be forged, so an address is taken from another replica only when `proven`: this one has shown
   * that it receives what is sent there. The other is not bound any more then: `pollUnbound` tells.
   */
  bind(
    relayId: number,
    words: Int32Array,
    record: number,
    now: number,
    proven = false,
  ): BindResult {
    const bindings = this.#bindings;
    const slot = bindings.slotOf(relayId);
    if (slot < 0) return 'refused';
    const holder = bindings.find(words, record);
    if (holder === slot) {
      bindings.prolong(slot, words, record, now);
      return 'same';
    }
    if (holder >= 0 && !proven) return 'contested';
    if (holder >= 0) {
      this.#displaced.add(bindings.relayId[holder]!);
      bindings.unbind(holder);
    }
    const result = bindings.isBound(slot) ? 'moved' : 'bound';
    bindings.bind(slot, words, record, now);
    return result;
  }

  unbind(relayId: number): void {
    const slot = this.#bindings.slotOf(relayId);
    if (slot >= 0) this.#bindings.unbind(slot);
  }

  /** Index of a replica's record in `endpoints`; -1 if it is not admitted. */
  slotOf(relayId: number): number {
    return this.#bindings.slotOf(relayId);
  }

  isBound(relayId: number): boolean {
    const slot = this.#bindings.slotOf(relayId);
    return slot >= 0 && this.#bindings.isBound(slot);
  }

  /** The relay id bound to the source of a run, or 0. */
  relayIdOf(words: Int32Array, record: number): number {
    const slot = this.#bindings.find(words, record);
    return slot < 0 ? 0 : this.#bindings.relayId[slot]!;
  }

  /**
   * Ends the bindings whose time is up. Returns the relay ids that were unbound since the last call,
   * those that lost their address to another included. To be called about once a second.
   */
  pollUnbound(now: number): number[] {
    const bindings = this.#bindings;
    const ended = [...this.#displaced].filter((relayId) => !this.isBound(relayId));
    this.#displaced.clear();
    if (this.#expelled) this.pairs.keep((relayId) => bindings.slotOf(relayId) >= 0);
    this.#expelled = false;
    const before = now - this.#limits.bindingTimeout;
    for (let slot = 0; slot < bindings.capacity; slot++) {
      if (!bindings.isBound(slot) || bindings.bound[slot]! >= before) continue;
      ended.push(bindings.relayId[slot]!);
      bindings.unbind(slot);
    }
    return ended;
  }

  /** Monotonic time by which `pollUnbound` is wanted; infinity while nothing is bound. */
  pollTimeout(): number {
    let first = Number.POSITIVE_INFINITY;
    for (const bound of this.#bindings.bound) if (bound >= 0 && bound < first) first = bound;
    return first + this.#limits.bindingTimeout;
  }

  /**
   * What to do with run `run`: a slot to forward it to, as it stands but for the source's relay id
   * (`source`) in the reserved bytes; FOR_EDGE; or DROPPED, and counted. Hot path.
   */
  decide(vector: InboundVector, run: number, now: number): number {
    const head = vector.head[run]!;
    const count = vector.count[run]!;
    const stride = vector.stride[run]!;
    const last = vector.lastSize[run]!;
    const type = head & 0xff;
    /** Of every message but the last. */
    const size = count > 1 ? stride : last;
    this.source = 0;
    if (type < TYPE_INITIATION || type > TYPE_TRANSPORT) {
      return this.#drop('relay_unknown_type', count);
    }
    if (type === TYPE_TRANSPORT) {
      // Not always a multiple of 16: padding does not exceed the tunnel's MTU.
      if (last < KEEPALIVE_SIZE) return this.#drop('relay_bad_length', count);
    } else if (last !== HANDSHAKE_SIZES[type] || size !== last) {
      return this.#drop('relay_bad_length', count);
    }
    const bindings = this.#bindings;
    const slot = bindings.find(vector.sources.words, vector.source[run]!);
    if (slot >= 0) this.source = bindings.relayId[slot]!;
    const relayId = head >>> 8;
    if (relayId === 0) {
      // The edge has no allowed IPs: nobody has data for it, and to open what is none would take the
      // time of all others. Who has seen one session's index can send that from anywhere.
      if (type === TYPE_TRANSPORT && size !== KEEPALIVE_SIZE && size !== FAREWELL_SIZE) {
        return this.#drop('relay_bad_length', count);
      }
      return FOR_EDGE;
    }
    if (slot < 0) return this.#drop('relay_unbound_source', count);
    const destination = bindings.slotOf(relayId);
    if (destination < 0) return this.#drop('relay_unknown_destination', count);
    if (bindings.vnet[destination] !== bindings.vnet[slot]) {
      return this.#drop('relay_other_vnet', count);
    }
    if (!this.#permissions.mayExchange(slot, destination)) return this.#drop('relay_denied', count);
    if (destination === slot) return this.#drop('relay_to_itself', count);
    if (!bindings.isBound(destination)) return this.#drop('relay_unbound_destination', count);
    const bytes = size * (count - 1) + last;
    if (type !== TYPE_TRANSPORT) {
      if (!this.#takeHandshakes(slot, count, now)) return this.#drop('relay_handshake_rate', count);
    } else if (!this.#takeAllowance(slot, count, bytes, now)) {
      return this.#drop('relay_rate', count);
    }
    this.pairs.add(this.source, relayId, count, bytes);
    return destination;
  }

  /** The bindings, to be kept over a restart of the edge. */
  exportBindings(): Uint8Array {
    return encodeBindings(this.#bindings);
  }

  /**
   * Restores exported bindings of replicas that are admitted by now, as if they were bound at `now`.
   * Returns their relay ids; what is no export gives none.
   */
  importBindings(bytes: Uint8Array, now: number): number[] {
    const restored: number[] = [];
    for (const { relayId, words } of decodeBindings(bytes)) {
      if (this.isBound(relayId) || this.#bindings.find(words, 0) >= 0) continue;
      if (this.bind(relayId, words, 0, now) === 'bound') restored.push(relayId);
    }
    return restored;
  }

  #drop(reason: RelayDropReason, count: number): number {
    this.drops.add(reason, count);
    return DROPPED;
  }

  /** A run is let through whole or not at all. */
  #takeHandshakes(slot: number, count: number, now: number): boolean {
    const { handshakesPerSecond, handshakeBurst } = this.#limits;
    const elapsed = Math.max(0, now - this.#handshakesAt[slot]!);
    const left = this.#handshakes[slot]! + (elapsed * handshakesPerSecond) / 1_000;
    const available = Math.min(left, handshakeBurst);
    this.#handshakesAt[slot] = now;
    this.#handshakes[slot] = available >= count ? available - count : available;
    return available >= count;
  }

  /** A run may overdraw the bucket; the next one waits until that is paid back. */
  #takeAllowance(slot: number, count: number, bytes: number, now: number): boolean {
    const elapsed = Math.max(0, now - this.#allowanceAt[slot]!);
    const left = this.#allowance[slot]! + elapsed;
    const available = Math.min(left, this.#limits.burst);
    this.#allowanceAt[slot] = now;
    const byteCost = bytes * this.#byteCost;
    const messageCost = count * this.#messageCost;
    const cost = Math.max(byteCost, messageCost);
    this.#allowance[slot] = available > 0 ? available - cost : available;
    return available > 0;
  }

  #fill(slot: number): void {
    this.#handshakes[slot] = this.#limits.handshakeBurst;
    this.#handshakesAt[slot] = 0;
    this.#allowance[slot] = this.#limits.burst;
    this.#allowanceAt[slot] = 0;
  }
}
