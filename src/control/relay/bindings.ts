/**
 * Where replicas are: relay id ↔ the address that its last authenticated message came from.
 *
 * A binding has a slot, which is at the same time the index of its endpoint record in `endpoints`, so
 * that a message is sent to a replica by naming its slot. Open addressing over plain memory for the
 * way back from an address; a look-up allocates nothing. Slots are given out lowest first and keep
 * their relay id until it is removed. One address is bound to one relay id.
 */
import { ENDPOINT_RECORD_WORDS, EndpointTable } from '../../vector.ts';
import { RelayIdTable } from './relay-ids.ts';

export const NO_SLOT = -1;
/** Words of a record that say where a datagram came from: family and port, address, scope. */
const SOURCE_WORDS = 6;

export class Bindings {
  readonly capacity: number;
  readonly endpoints: EndpointTable;
  /** By slot. */
  readonly relayId: Int32Array;
  /** Virtual network by slot, > 0. */
  readonly vnet: Int32Array;
  /** By slot: monotonic time of the last authenticated message; negative infinity = not bound. */
  readonly bound: Float64Array;
  readonly #slots = new RelayIdTable();
  /** Slot + 1 by hash of the source; 0 = free. */
  readonly #sources: Int32Array;
  readonly #mask: number;
  readonly #seed: number;
  readonly #free: Int32Array;
  #freeLength: number;

  /** @param seed random, so that nobody can aim at one place of the table */
  constructor(capacity: number, seed: number) {
    this.capacity = capacity;
    this.endpoints = new EndpointTable(capacity);
    this.relayId = new Int32Array(capacity);
    this.vnet = new Int32Array(capacity);
    this.bound = new Float64Array(capacity).fill(Number.NEGATIVE_INFINITY);
    this.#seed = seed | 0;
    let places = 16;
    while (places < capacity * 2) places *= 2;
    this.#mask = places - 1;
    this.#sources = new Int32Array(places);
    this.#free = Int32Array.from({ length: capacity }, (_, i) => capacity - 1 - i);
    this.#freeLength = capacity;
  }

  get size(): number {
    return this.capacity - this.#freeLength;
  }

  /** The slot of a relay id that was added, or NO_SLOT. */
  slotOf(relayId: number): number {
    return this.#slots.get(relayId) - 1;
  }

  isBound(slot: number): boolean {
    return this.bound[slot]! >= 0;
  }

  /** Gives the relay id a slot in the virtual network, or moves it there; NO_SLOT when all are taken. */
  add(relayId: number, vnet: number): number {
    let slot = this.slotOf(relayId);
    if (slot < 0) {
      if (this.#freeLength === 0) return NO_SLOT;
      slot = this.#free[--this.#freeLength]!;
      this.#slots.set(relayId, slot + 1);
      this.relayId[slot] = relayId;
    }
    this.vnet[slot] = vnet;
    return slot;
  }

  remove(slot: number): void {
    this.unbind(slot);
    this.#slots.set(this.relayId[slot]!, 0);
    this.relayId[slot] = 0;
    this.vnet[slot] = 0;
    this.#free[this.#freeLength++] = slot;
  }

  /** The slot bound to the source of record `record` in `words`, or NO_SLOT. */
  find(words: Int32Array, record: number): number {
    const base = record * ENDPOINT_RECORD_WORDS;
    let at = this.#hash(words, base) & this.#mask;
    for (;;) {
      const slot = this.#sources[at]! - 1;
      if (slot < 0 || this.#hasSource(slot, words, base)) return slot;
      at = (at + 1) & this.#mask;
    }
  }

  /** Binds the slot to the record's address, copying the record. The address must be bound to no other. */
  bind(slot: number, words: Int32Array, record: number, now: number): void {
    this.unbind(slot);
    const base = record * ENDPOINT_RECORD_WORDS;
    this.endpoints.words.set(
      words.subarray(base, base + ENDPOINT_RECORD_WORDS),
      slot * ENDPOINT_RECORD_WORDS,
    );
    let at = this.#hash(words, base) & this.#mask;
    while (this.#sources[at] !== 0) at = (at + 1) & this.#mask;
    this.#sources[at] = slot + 1;
    this.bound[slot] = now;
  }

  /**
   * The slot was heard again at the address that it is bound to: its time is prolonged, and it is
   * answered from the address of ours that the record says.
   */
  prolong(slot: number, words: Int32Array, record: number, now: number): void {
    const from = record * ENDPOINT_RECORD_WORDS;
    const to = slot * ENDPOINT_RECORD_WORDS;
    const own = this.endpoints.words;
    for (let i = SOURCE_WORDS; i < ENDPOINT_RECORD_WORDS; i++) own[to + i] = words[from + i]!;
    this.bound[slot] = now;
  }

  unbind(slot: number): void {
    if (!this.isBound(slot)) return;
    const words = this.endpoints.words;
    const base = slot * ENDPOINT_RECORD_WORDS;
    let hole = this.#hash(words, base) & this.#mask;
    while (this.#sources[hole] !== slot + 1) hole = (hole + 1) & this.#mask;
    this.#closeGap(hole);
    words.fill(0, base, base + ENDPOINT_RECORD_WORDS);
    this.bound[slot] = Number.NEGATIVE_INFINITY;
  }

  /** Moves what was displaced by the entry at `hole` up to it, so that probing needs no tombstones. */
  #closeGap(hole: number): void {
    const sources = this.#sources;
    const mask = this.#mask;
    for (let at = (hole + 1) & mask; sources[at] !== 0; at = (at + 1) & mask) {
      const home =
        this.#hash(this.endpoints.words, (sources[at]! - 1) * ENDPOINT_RECORD_WORDS) & mask;
      if (((at - home) & mask) >= ((at - hole) & mask)) {
        sources[hole] = sources[at]!;
        hole = at;
      }
    }
    sources[hole] = 0;
  }

  #hasSource(slot: number, words: Int32Array, base: number): boolean {
    const own = this.endpoints.words;
    const ownBase = slot * ENDPOINT_RECORD_WORDS;
    for (let i = 0; i < SOURCE_WORDS; i++) {
      if (own[ownBase + i] !== words[base + i]) return false;
    }
    return true;
  }

  #hash(words: Int32Array, base: number): number {
    let h = this.#seed;
    for (let i = 0; i < SOURCE_WORDS; i++) {
      h = Math.imul(h ^ words[base + i]!, 0x9e3779b1);
      h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
    }
    return h ^ (h >>> 15);
  }
}
