/**
 * Buckets: up to BUCKET_SIZE prefixes side by side, longest first, so that a lookup reads neighbouring
 * cache lines and takes the first that matches. The leaves of the trie.
 *
 * A bucket is known by its handle, `first element << 4 | prefixes - 1`, which changes with each change
 * of the bucket. Room is handed out in powers of two elements and goes back to a list per size.
 */
import type { PrefixEntries } from './prefix-entries.ts';
import { equalWords, grown, resized } from './word-arrays.ts';

/** At most 16 (the handle); chosen by measurement. */
export const BUCKET_SIZE = 16;

const SIZES = 5;
const INITIAL_CAPACITY = 32;

export class PrefixBuckets {
  readonly #entries: PrefixEntries;
  /** Words of an element: key words and one. */
  readonly #words: number;
  /** Elements: value << 8 | length, then the key. */
  elements: Int32Array;
  /** The entry of each element; of a free bucket's first: the next free one of its size, or -1. */
  #ids: Int32Array;
  readonly #free = new Int32Array(SIZES).fill(-1);
  #used = 0;

  constructor(entries: PrefixEntries) {
    this.#entries = entries;
    this.#words = entries.keyWords + 1;
    this.elements = new Int32Array(INITIAL_CAPACITY * this.#words);
    this.#ids = new Int32Array(INITIAL_CAPACITY);
  }

  get allocatedBytes(): number {
    return this.elements.byteLength + this.#ids.byteLength;
  }

  count(bucket: number): number {
    return (bucket & 15) + 1;
  }

  /** The entry of the bucket's element `index`. */
  entryAt(bucket: number, index: number): number {
    return this.#ids[(bucket >>> 4) + index]!;
  }

  create(entry: number): number {
    const first = this.#allocate(0);
    this.#write(first, entry);
    return first << 4;
  }

  /** Adds an entry to a bucket that is not full; returns the new handle. */
  add(bucket: number, entry: number): number {
    const count = this.count(bucket);
    let first = bucket >>> 4;
    const size = sizeOf(count);
    if (count === 1 << size) {
      const larger = this.#allocate(size + 1);
      this.#move(first, larger, count);
      this.#release(first, size);
      first = larger;
    }
    const length = this.#entries.lengthOf(entry);
    let index = 0;
    while (index < count && this.#lengthAt(first + index) >= length) index++;
    this.#move(first + index, first + index + 1, count - index);
    this.#write(first + index, entry);
    return (first << 4) | count;
  }

  /** Takes an entry out of its bucket; returns the new handle, or -1 if the bucket is gone. */
  remove(bucket: number, entry: number): number {
    const count = this.count(bucket);
    const first = bucket >>> 4;
    const size = sizeOf(count);
    const index = this.#indexOf(bucket, entry);
    this.#move(first + index + 1, first + index, count - index - 1);
    if (count === 1) {
      this.#release(first, size);
      return -1;
    }
    const fitting = sizeOf(count - 1);
    if (fitting === size) return (first << 4) | (count - 2);
    const smaller = this.#allocate(fitting);
    this.#move(first, smaller, count - 1);
    this.#release(first, size);
    return (smaller << 4) | (count - 2);
  }

  /** Gives the bucket's room back. */
  destroy(bucket: number): void {
    this.#release(bucket >>> 4, sizeOf(this.count(bucket)));
  }

  /** The entry with exactly this key and length, or -1. */
  find(bucket: number, key: Int32Array, length: number): number {
    const first = bucket >>> 4;
    for (let element = first; element < first + this.count(bucket); element++) {
      if (
        this.#lengthAt(element) === length &&
        equalWords(key, 0, this.elements, element * this.#words + 1, this.#words - 1)
      ) {
        return this.#ids[element]!;
      }
    }
    return -1;
  }

  /** Takes over the entry's changed value. */
  update(bucket: number, entry: number): void {
    const element = (bucket >>> 4) + this.#indexOf(bucket, entry);
    this.elements[element * this.#words] = this.#entries.packed[entry]!;
  }

  #indexOf(bucket: number, entry: number): number {
    let index = 0;
    while (this.entryAt(bucket, index) !== entry) index++;
    return index;
  }

  #lengthAt(element: number): number {
    return this.elements[element * this.#words]! & 0xff;
  }

  #write(element: number, entry: number): void {
    const at = element * this.#words;
    const from = entry * (this.#words - 1);
    this.elements[at] = this.#entries.packed[entry]!;
    for (let i = 1; i < this.#words; i++) this.elements[at + i] = this.#entries.keys[from + i - 1]!;
    this.#ids[element] = entry;
  }

  #move(from: number, to: number, count: number): void {
    if (count === 0) return;
    const words = this.#words;
    this.elements.copyWithin(to * words, from * words, (from + count) * words);
    this.#ids.copyWithin(to, from, from + count);
  }

  #allocate(size: number): number {
    const free = this.#free[size]!;
    if (free >= 0) {
      this.#free[size] = this.#ids[free]!;
      return free;
    }
    const first = this.#used;
    this.#used += 1 << size;
    if (this.#used > this.#ids.length) {
      const capacity = grown(this.#used);
      this.elements = resized(this.elements, capacity * this.#words);
      this.#ids = resized(this.#ids, capacity);
    }
    return first;
  }

  #release(first: number, size: number): void {
    this.#ids[first] = this.#free[size]!;
    this.#free[size] = first;
  }
}

/** The power of two that `count` elements need. */
function sizeOf(count: number): number {
  return 32 - Math.clz32(count - 1);
}
