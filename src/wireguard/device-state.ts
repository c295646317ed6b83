/**
 * The tables of a device that its parts share: peers, indexes, slots, timers, endpoints, identity, and
 * the queue of peers that have something to transmit. Everything is bounded by `maxPeers`.
 */

import type { DropCounters } from '../drops.ts';
import { publicKey } from '../keys.ts';
import type { Primitives } from '../primitives.ts';
import { AllowedIps } from '../routing/allowed-ips.ts';
import { ENDPOINT_RECORD_WORDS, type EndpointTable, type VectorAead } from '../vector.ts';
import { CookieChecker } from './cookies.ts';
import { sameRemote } from './endpoint-record.ts';
import { EventQueue } from './events.ts';
import type { Identity } from './handshake.ts';
import { IndexTable } from './index-table.ts';
import { NumberAllocator } from './number-allocator.ts';
import type { Peer } from './peer.ts';
import type { PeerStatistics } from './peer-statistics.ts';
import { RandomWords } from './random-words.ts';
import { RateLimiter } from './rate-limiter.ts';
import { RelayedSources } from './relayed-sources.ts';
import { StagingBudget } from './staging.ts';
import { Timers } from './timers.ts';

/** Keypairs (previous, current, next) a peer has at most: the slots an AEAD must offer per peer. */
export const SLOTS_PER_PEER = 3;

/** Endpoint records behind those of the peers, for answers to sources that are no peer yet. */
export const SCRATCH_ENDPOINTS = 256;

export interface DeviceOptions {
  /** `capacity` ≥ SLOTS_PER_PEER * maxPeers. */
  readonly aead: VectorAead;
  /** Of the handshake. */
  readonly primitives: Primitives;
  /** Fills the array from a cryptographic source. */
  readonly random: (into: Uint8Array) => void;
  /** Record p is that of peer p; SCRATCH_ENDPOINTS more behind them. */
  readonly endpoints: EndpointTable;
  readonly statistics: PeerStatistics;
  readonly drops: DropCounters;
  readonly maxPeers: number;
}

export class DeviceState {
  readonly aead: VectorAead;
  readonly primitives: Primitives;
  readonly random: (into: Uint8Array) => void;
  readonly words: RandomWords;
  readonly endpoints: EndpointTable;
  readonly statistics: PeerStatistics;
  readonly drops: DropCounters;
  readonly maxPeers: number;

  /** By number. */
  readonly peers: (Peer | undefined)[] = [];
  readonly byKey = new Map<string, Peer>();
  /** Peer numbers by prefix. */
  readonly allowedIps = new AllowedIps();
  /** What decrypted packets may be for; undefined = anything. The value means nothing. */
  destinations: AllowedIps | undefined = undefined;
  readonly indexes: IndexTable;
  readonly slots: NumberAllocator;
  /** Numbers of peers. */
  readonly numbers: NumberAllocator;
  readonly timers: Timers;
  readonly limiter: RateLimiter;
  readonly stagingBudget = new StagingBudget();
  readonly events = new EventQueue();
  readonly relayedSources = new RelayedSources();

  /** Undefined without a private key. */
  identity: Identity | undefined = undefined;
  checker: CookieChecker | undefined = undefined;
  isUp = false;
  /** Bytes of the largest inner packet: padding does not exceed it. */
  mtu = 1420;
  /** Monotonic time until which handshake messages need a cookie. */
  underLoadUntil = Number.NEGATIVE_INFINITY;

  /** Ring of peer numbers, each at most once (`Peer.queued`). */
  readonly #ready: Int32Array;
  #readyFirst = 0;
  #readyCount = 0;
  /** Peers below this number have their DH(S_priv, S_pub), or there is none to be had. */
  #prepared = 0;

  constructor(options: DeviceOptions) {
    const { maxPeers, aead, endpoints, statistics } = options;
    if (aead.capacity < maxPeers * SLOTS_PER_PEER) throw new RangeError('AEAD has too few slots');
    if (endpoints.capacity < maxPeers + SCRATCH_ENDPOINTS) {
      throw new RangeError('endpoint table has too few records');
    }
    if (statistics.maxPeers < maxPeers) throw new RangeError('statistics are for fewer peers');
    this.primitives = options.primitives;
    this.aead = aead;
    this.random = options.random;
    this.words = new RandomWords(options.random);
    this.endpoints = endpoints;
    this.statistics = statistics;
    this.drops = options.drops;
    this.maxPeers = maxPeers;
    // Three keypairs and a pending handshake.
    this.indexes = new IndexTable(maxPeers * (SLOTS_PER_PEER + 1));
    this.slots = new NumberAllocator(aead.capacity);
    this.numbers = new NumberAllocator(maxPeers);
    this.timers = new Timers();
    this.limiter = new RateLimiter(this.words.next());
    this.#ready = new Int32Array(maxPeers);
  }

  setIdentity(privateKey: Uint8Array | undefined): void {
    this.identity?.privateKey.fill(0);
    this.#prepared = 0;
    if (privateKey === undefined) {
      this.identity = undefined;
      this.checker = undefined;
      return;
    }
    const publicBytes = new Uint8Array(32);
    this.primitives.x25519Base(publicBytes, privateKey);
    this.identity = { privateKey: privateKey.slice(), publicKey: publicKey(publicBytes) };
    this.checker = new CookieChecker(publicBytes, this.random, this.primitives);
  }

  /** DH(S_priv, S_pub), remembered; undefined if the peer's key is of low order. */
  staticStaticOf(peer: Peer, identity: Identity): Uint8Array | undefined {
    if (peer.staticStatic === undefined) {
      const shared = new Uint8Array(32);
      if (!this.primitives.x25519(shared, identity.privateKey, peer.publicKey)) return undefined;
      peer.staticStatic = shared;
    }
    return peer.staticStatic;
  }

  /** Peer `number` is new. */
  unprepared(number: number): void {
    this.#prepared = Math.min(this.#prepared, number);
  }

  /** Computes one DH(S_priv, S_pub) before a handshake needs it; false if none was missing. */
  prepareStaticStatic(): boolean {
    const { identity, peers } = this;
    if (identity === undefined) return false;
    while (this.#prepared < peers.length) {
      const peer = peers[this.#prepared++];
      if (peer === undefined || peer.staticStatic !== undefined) continue;
      this.staticStaticOf(peer, identity);
      return true;
    }
    return false;
  }

  /** A random index that nothing has. */
  newIndex(): number {
    for (;;) {
      const index = this.words.next();
      if (index !== 0 && this.indexes.find(index) < 0) return index;
    }
  }

  /** Has `pollTransmit` look at the peer. */
  enqueue(peer: Peer): void {
    if (peer.queued) return;
    peer.queued = true;
    this.#ready[(this.#readyFirst + this.#readyCount++) % this.maxPeers] = peer.number;
  }

  /** The peer that has waited longest to transmit; it stays until `dequeue`. */
  firstReady(): Peer | undefined {
    return this.#readyCount === 0 ? undefined : this.peers[this.#ready[this.#readyFirst]!];
  }

  dequeue(peer: Peer): void {
    peer.queued = false;
    this.#readyFirst = (this.#readyFirst + 1) % this.maxPeers;
    this.#readyCount--;
  }

  /** Takes a peer out, wherever it waits. */
  forgetReady(peer: Peer): void {
    let kept = 0;
    for (let i = 0; i < this.#readyCount; i++) {
      const number = this.#ready[(this.#readyFirst + i) % this.maxPeers]!;
      if (number === peer.number) continue;
      this.#ready[(this.#readyFirst + kept++) % this.maxPeers] = number;
    }
    this.#readyCount = kept;
    peer.queued = false;
  }

  hasEndpoint(peer: number): boolean {
    return this.endpoints.words[peer * ENDPOINT_RECORD_WORDS] !== 0;
  }

  /** A copy of the endpoint record of a peer. */
  endpointOf(peer: number): Int32Array {
    const at = peer * ENDPOINT_RECORD_WORDS;
    return this.endpoints.words.slice(at, at + ENDPOINT_RECORD_WORDS);
  }

  /** Relay id in the endpoint record of a peer. */
  relayIdOf(peer: number): number {
    return this.endpoints.words[peer * ENDPOINT_RECORD_WORDS + 11]!;
  }

  /**
   * An authentic message came from record `source` of `words`: that is the endpoint from now on. True
   * if the remote side of it is another one.
   */
  roam(peer: Peer, words: Int32Array, source: number): boolean {
    const own = this.endpoints.words;
    const to = peer.number * ENDPOINT_RECORD_WORDS;
    const from = source * ENDPOINT_RECORD_WORDS;
    let differs = 0;
    for (let i = 6; i < 11; i++) differs |= own[to + i]! ^ words[from + i]!;
    const moved = !sameRemote(own, peer.number, words, source);
    if (differs === 0 && !moved) return false;
    for (let i = 0; i < ENDPOINT_RECORD_WORDS; i++) own[to + i] = words[from + i]!;
    this.statistics.setEndpoint(peer.number, own, peer.number);
    if (moved) this.event('endpoint-roamed', peer, 0);
    return moved;
  }

  /** Lets the kernel choose the local address again. */
  clearStickySource(peer: number): void {
    const at = peer * ENDPOINT_RECORD_WORDS;
    this.endpoints.words.fill(0, at + 6, at + 11);
  }

  event(
    type: Parameters<EventQueue['push']>[0]['type'],
    peer: Peer | undefined,
    detail: number,
  ): void {
    this.events.push({
      type,
      peer: peer === undefined ? -1 : peer.number,
      publicKey: peer?.publicKey,
      detail,
    });
  }
}
