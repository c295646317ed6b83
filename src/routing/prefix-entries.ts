/**
 * The prefixes of a table as numbered entries: key, length and value, and for each value the ring of
 * its entries in order of insertion, so that a peer's prefixes are listed or removed without a scan.
 * Only changes of the table come here; lookups do not.
 */
import { grown, resized } from './word-arrays.ts';

/** Values are below this: 24 bits beside a length of up to 8 bits in one word. */
export const MAX_VALUE = 0xff_ffff;

const INITIAL_CAPACITY = 16;

export class PrefixEntries {
  /** Words of a key: 1 (IPv4) or 4 (IPv6). */
  readonly keyWords: number;
  /** Keys, `keyWords` each. */
  keys: Int32Array;
  /** value << 8 | length of each entry. */
  packed: Int32Array;
  /** Next (or next free) and previous entry of each one's ring. */
  #rings: Int32Array;
  /** Value to the first entry of its ring. */
  readonly #first = new Map<number, number>();
  #used = 0;
  #free = -1;
  #size = 0;

  constructor(keyWords: 1 | 4) {
    this.keyWords = keyWords;
    this.keys = new Int32Array(INITIAL_CAPACITY * keyWords);
    this.packed = new Int32Array(INITIAL_CAPACITY);
    this.#rings = new Int32Array(INITIAL_CAPACITY * 2);
  }

  get size(): number {
    return this.#size;
  }

  /** Entries that there is room for. */
  get capacity(): number {
    return this.packed.length;
  }

  get allocatedBytes(): number {
    return this.keys.byteLength + this.packed.byteLength + this.#rings.byteLength;
  }

  valueOf(entry: number): number {
    return this.packed[entry]! >>> 8;
  }

  lengthOf(entry: number): number {
    return this.packed[entry]! & 0xff;
  }

  create(key: Int32Array, length: number, value: number): number {
    let entry = this.#free;
    if (entry >= 0) {
      this.#free = this.#rings[entry * 2]!;
    } else {
      entry = this.#used++;
      if (entry === this.packed.length) this.#grow();
    }
    for (let i = 0; i < this.keyWords; i++) this.keys[entry * this.keyWords + i] = key[i]!;
    this.packed[entry] = (value << 8) | length;
    this.#join(entry, value);
    this.#size++;
    return entry;
  }

  remove(entry: number): void {
    this.#leave(entry);
    this.#rings[entry * 2] = this.#free;
    this.#free = entry;
    this.#size--;
  }

  /** Moves the entry to the end of the ring of `value`, unless it has that value. */
  setValue(entry: number, value: number): void {
    if (this.valueOf(entry) === value) return;
    this.#leave(entry);
    this.packed[entry] = (value << 8) | this.lengthOf(entry);
    this.#join(entry, value);
  }

  /** Values that have an entry, in the order in which they got their first. */
  values(): IterableIterator<number> {
    return this.#first.keys();
  }

  /** The oldest entry of `value`, or -1. */
  firstOf(value: number): number {
    return this.#first.get(value) ?? -1;
  }

  /** The entry behind this one in its ring; behind the last comes the first. */
  next(entry: number): number {
    return this.#rings[entry * 2]!;
  }

  #join(entry: number, value: number): void {
    const rings = this.#rings;
    const first = this.#first.get(value);
    if (first === undefined) {
      this.#first.set(value, entry);
      rings[entry * 2] = entry;
      rings[entry * 2 + 1] = entry;
      return;
    }
    const last = rings[first * 2 + 1]!;
    rings[entry * 2] = first;
    rings[entry * 2 + 1] = last;
    rings[last * 2] = entry;
    rings[first * 2 + 1] = entry;
  }

  #leave(entry: number): void {
    const value = this.valueOf(entry);
    const next = this.#rings[entry * 2]!;
    const previous = this.#rings[entry * 2 + 1]!;
    if (next === entry) {
      this.#first.delete(value);
      return;
    }
    this.#rings[previous * 2] = next;
    this.#rings[next * 2 + 1] = previous;
    if (this.#first.get(value) === entry) this.#first.set(value, next);
  }

  #grow(): void {
    const capacity = grown(this.packed.length);
    this.keys = resized(this.keys, capacity * this.keyWords);
    this.packed = resized(this.packed, capacity);
    this.#rings = resized(this.#rings, capacity * 2);
  }
}
