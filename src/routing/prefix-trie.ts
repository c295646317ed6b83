/**
 * The prefixes of one address family in a trie: the part of longest-prefix match that changes the
 * table. The two families add the lookup. Chosen by measurement against other structures in
 * docs/decisions/002-longest-prefix-match.md.
 *
 * The *root* takes the first 16 bits of an address in one step. Below it, a *node* at a depth of `d`
 * nibbles takes four bits; paths without branches are skipped, so a node keeps its key. Up to
 * BUCKET_SIZE prefixes need no node: they share a bucket.
 *
 * The root holds the prefixes of length 1 to 16, a node those of length 4d+1 to 4d+4 that begin with
 * its key, in heap order (position 1 is the empty prefix, 2 and 3 one bit, and so on: the allotment
 * routing table of Knuth and Hariguchi). For each value that the next 16 or 4 bits may have, a slot of
 * two words has what a lookup wants, side by side:
 *
 *   value + 1 of the longest prefix held here that covers the slot; 0 = none
 *   link to what lies deeper: 0 nothing; < 0 ~bucket; > 0 a node, node << DEPTH_BITS | depth
 *
 * A node without nodes below it holds more than NODE_MINIMUM prefixes, itself or in its buckets; any
 * other one at least two things. So there are fewer nodes than prefixes, whatever the prefixes are,
 * and a change touches at most two. The prefix of length 0 is in no node: `defaultValue`.
 */
import type { Prefix } from './prefix.ts';
import { BUCKET_SIZE, PrefixBuckets } from './prefix-buckets.ts';
import { MAX_VALUE, PrefixEntries } from './prefix-entries.ts';
import { commonNibbles, grown, leadingOnes, nibbleOf, resized } from './word-arrays.ts';

/** Result of a lookup that finds nothing, and of a change where nothing was before. */
export const NO_VALUE = -1;

const ROOT_BITS = 16;
const ROOT_SLOTS = 1 << ROOT_BITS;
/** Stands for the root where a node's number is asked for. */
const ROOT = -1;
const NODE_SLOTS = 16;
const INITIAL_NODES = 8;
/** Nodes from which on an empty table lets go of its memory: 256 KiB. */
const WORTH_RELEASING = 1_024;
/** A node left with no more than this, all in buckets, becomes one: half, so churn does not flap. */
const NODE_MINIMUM = BUCKET_SIZE >> 1;

export abstract class PrefixTrie {
  protected entries!: PrefixEntries;
  protected buckets!: PrefixBuckets;
  /** Two words a slot. Pages that no prefix covers are never touched, so they take no memory. */
  protected root!: Int32Array;
  /** Two words a slot, sixteen slots a node. */
  protected slots!: Int32Array;
  /** A key for each node, zero behind its depth. */
  protected nodeKeys!: Int32Array;
  /** value + 1 of the prefix of length 0, or 0. */
  protected defaultValue = 0;
  /** The prefix at hand, left here by the family's own methods, host bits zero. */
  protected readonly key: Int32Array;

  readonly #keyWords: 1 | 4;
  readonly #depthBits: number;
  readonly #depthMask: number;
  #defaultEntry = -1;
  /** Entry + 1 at each heap position of the root. */
  #rootHeap!: Int32Array;
  /** The same for each node, 32 words: word 0 counts its prefixes, word 1 is the next free node. */
  #heaps!: Int32Array;
  #nodeCount = 0;
  #freeNode = -1;

  protected constructor(keyWords: 1 | 4) {
    this.#keyWords = keyWords;
    this.#depthBits = keyWords === 1 ? 3 : 5;
    this.#depthMask = (1 << this.#depthBits) - 1;
    this.key = new Int32Array(keyWords);
    this.clear();
  }

  /** Prefixes in the table. */
  get size(): number {
    return this.entries.size;
  }

  /** Bytes of address space set aside, the root's untouched pages included. */
  get allocatedBytes(): number {
    const arrays = [this.root, this.#rootHeap, this.slots, this.#heaps, this.nodeKeys];
    return (
      arrays.reduce((sum, array) => sum + array.byteLength, 0) +
      this.entries.allocatedBytes +
      this.buckets.allocatedBytes
    );
  }

  /** Removes every prefix and gives the memory back. */
  clear(): void {
    this.entries = new PrefixEntries(this.#keyWords);
    this.buckets = new PrefixBuckets(this.entries);
    this.root = new Int32Array(ROOT_SLOTS * 2);
    this.#rootHeap = new Int32Array(ROOT_SLOTS * 2);
    this.slots = new Int32Array(INITIAL_NODES * NODE_SLOTS * 2);
    this.#heaps = new Int32Array(INITIAL_NODES * NODE_SLOTS * 2);
    this.nodeKeys = new Int32Array(INITIAL_NODES * this.#keyWords);
    this.#nodeCount = 0;
    this.#freeNode = -1;
    this.#defaultEntry = -1;
    this.defaultValue = 0;
  }

  /** Removes every prefix with this value; returns how many there were. */
  removeValue(value: number): number {
    for (let removed = 0; ; removed++) {
      const { entries } = this;
      const entry = entries.firstOf(value);
      if (entry < 0) return removed;
      const at = entry * this.#keyWords;
      for (let i = 0; i < this.#keyWords; i++) this.key[i] = entries.keys[at + i]!;
      this.removeKey(entries.lengthOf(entry));
    }
  }

  /** Values that have a prefix, in the order in which they got their first. */
  values(): IterableIterator<number> {
    return this.entries.values();
  }

  /** The prefixes of a value in order of insertion; one that had another value before counts anew. */
  prefixesOf(value: number): Prefix[] {
    const { entries } = this;
    const family = this.#keyWords === 1 ? 4 : 6;
    const found: Prefix[] = [];
    const first = entries.firstOf(value);
    if (first < 0) return found;
    let entry = first;
    do {
      const address = new Uint8Array(this.#keyWords * 4);
      for (let i = 0; i < address.length; i++) {
        const word = entries.keys[entry * this.#keyWords + (i >> 2)]!;
        address[i] = word >>> (24 - (i & 3) * 8);
      }
      found.push({ family, address, length: entries.lengthOf(entry) });
      entry = entries.next(entry);
    } while (entry !== first);
    return found;
  }

  /** Sets the value of `key`/`length`; returns the one before, or NO_VALUE. */
  protected insertKey(length: number, value: number): number {
    if (!(value >= 0 && value <= MAX_VALUE)) throw new RangeError(`no value of a table: ${value}`);
    if (length > 0) return this.#insertBelow(length, value);
    this.defaultValue = value + 1;
    if (this.#defaultEntry >= 0) return this.#replace(this.#defaultEntry, value);
    this.#defaultEntry = this.entries.create(this.key, 0, value);
    return NO_VALUE;
  }

  /** Removes `key`/`length`; returns its value, or NO_VALUE if it is not in the table. */
  protected removeKey(length: number): number {
    if (length > 0) return this.#removeBelow(length);
    const entry = this.#defaultEntry;
    this.#defaultEntry = -1;
    this.defaultValue = 0;
    return entry < 0 ? NO_VALUE : this.#discard(entry);
  }

  /** Value of exactly `key`/`length`, or NO_VALUE. */
  protected getKey(length: number): number {
    const entry = length === 0 ? this.#defaultEntry : this.#find(length);
    return entry < 0 ? NO_VALUE : this.entries.valueOf(entry);
  }

  #insertBelow(length: number, value: number): number {
    const { entries, buckets, key } = this;
    const target = depthOf(length);
    let node = ROOT;
    let depth = 0;
    for (;;) {
      if (depth === target) return this.#insertHere(node, depth, length, value);
      const at = this.#slotOf(node, depth, key, 0);
      const link = this.#linkAt(node, at);
      if (link > 0) {
        const child = link >>> this.#depthBits;
        const childDepth = link & this.#depthMask;
        const childKey = child * this.#keyWords;
        const limit = Math.min(target, childDepth);
        depth = commonNibbles(key, 0, this.nodeKeys, childKey, this.#keyWords, limit);
        if (depth === childDepth) {
          node = child;
          continue;
        }
        // The child's path leaves ours above it: a node where they part.
        const between = this.#createNode(depth, this.nodeKeys, childKey);
        this.#setLink(between, this.#slotOf(between, depth, this.nodeKeys, childKey), link);
        this.#setLink(node, at, this.#nodeLink(between, depth));
        node = between;
        continue;
      }
      if (link === 0) {
        this.#setLink(node, at, ~buckets.create(entries.create(key, length, value)));
        return NO_VALUE;
      }
      const entry = buckets.find(~link, key, length);
      if (entry >= 0) {
        const previous = this.#replace(entry, value);
        buckets.update(~link, entry);
        return previous;
      }
      if (buckets.count(~link) < BUCKET_SIZE) {
        this.#setLink(node, at, ~buckets.add(~link, entries.create(key, length, value)));
        return NO_VALUE;
      }
      this.#burst(node, at, ~link);
    }
  }

  /** Inserts into the node, or root, that holds prefixes of this length. */
  #insertHere(node: number, depth: number, length: number, value: number): number {
    const entry = this.#heldEntry(node, depth, length);
    if (entry < 0) {
      this.#hold(node, depth, this.entries.create(this.key, length, value));
      return NO_VALUE;
    }
    const previous = this.#replace(entry, value);
    this.#paint(node, this.#positionOf(node, depth, length, this.key, 0), value + 1);
    return previous;
  }

  #removeBelow(length: number): number {
    const { key, buckets } = this;
    const target = depthOf(length);
    let parent = ROOT;
    let parentAt = 0;
    let node = ROOT;
    let depth = 0;
    while (depth < target) {
      const at = this.#slotOf(node, depth, key, 0);
      const link = this.#linkAt(node, at);
      if (link === 0) return NO_VALUE;
      if (link < 0) {
        const entry = buckets.find(~link, key, length);
        if (entry < 0) return NO_VALUE;
        this.#setLink(node, at, ~buckets.remove(~link, entry));
        this.#dissolve(node, parent, parentAt);
        return this.#discard(entry);
      }
      parent = node;
      parentAt = at;
      node = link >>> this.#depthBits;
      depth = link & this.#depthMask;
    }
    const entry = this.#heldEntry(node, depth, length);
    if (entry < 0) return NO_VALUE;
    const position = this.#positionOf(node, depth, length, key, 0);
    const [heap, base] = this.#heapOf(node);
    heap[base + position] = 0;
    if (node !== ROOT) heap[base]!--;
    let cover = position >>> 1;
    while (cover > 1 && heap[base + cover] === 0) cover >>>= 1;
    const restored = cover > 1 ? this.entries.valueOf(heap[base + cover]! - 1) + 1 : 0;
    this.#paint(node, position, restored);
    this.#dissolve(node, parent, parentAt);
    return this.#discard(entry);
  }

  /** The entry of exactly `key`/`length` (> 0), or -1. */
  #find(length: number): number {
    const target = depthOf(length);
    let node = ROOT;
    let depth = 0;
    while (depth < target) {
      const link = this.#linkAt(node, this.#slotOf(node, depth, this.key, 0));
      if (link === 0) return -1;
      if (link < 0) return this.buckets.find(~link, this.key, length);
      node = link >>> this.#depthBits;
      depth = link & this.#depthMask;
    }
    return this.#heldEntry(node, depth, length);
  }

  /** The entry of `key`/`length` if the node stands in its place and holds it, else -1. */
  #heldEntry(node: number, depth: number, length: number): number {
    if (depth !== depthOf(length)) return -1;
    if (node !== ROOT) {
      const words = this.#keyWords;
      const common = commonNibbles(this.key, 0, this.nodeKeys, node * words, words, depth);
      if (common < depth) return -1;
    }
    const [heap, base] = this.#heapOf(node);
    return heap[base + this.#positionOf(node, depth, length, this.key, 0)]! - 1;
  }

  /** Turns a full bucket into a node at the depth where its prefixes part. */
  #burst(node: number, at: number, bucket: number): void {
    const { entries, buckets } = this;
    const words = this.#keyWords;
    const first = buckets.entryAt(bucket, 0) * words;
    const count = buckets.count(bucket);
    let depth = depthOf(entries.lengthOf(buckets.entryAt(bucket, count - 1)));
    for (let i = 1; i < count; i++) {
      const other = buckets.entryAt(bucket, i) * words;
      depth = commonNibbles(entries.keys, first, entries.keys, other, words, depth);
    }
    const created = this.#createNode(depth, entries.keys, first);
    for (let i = 0; i < count; i++) this.#place(created, depth, buckets.entryAt(bucket, i));
    buckets.destroy(bucket);
    this.#setLink(node, at, this.#nodeLink(created, depth));
  }

  /** Puts an entry into a node that it belongs to or below, where there is no node below. */
  #place(node: number, depth: number, entry: number): void {
    if (depthOf(this.entries.lengthOf(entry)) === depth) {
      this.#hold(node, depth, entry);
      return;
    }
    const at = this.#slotOf(node, depth, this.entries.keys, entry * this.#keyWords);
    const link = this.#linkAt(node, at);
    const bucket = link === 0 ? this.buckets.create(entry) : this.buckets.add(~link, entry);
    this.#setLink(node, at, ~bucket);
  }

  /** Enters into a node's heap a prefix that it does not hold. */
  #hold(node: number, depth: number, entry: number): void {
    const at = entry * this.#keyWords;
    const length = this.entries.lengthOf(entry);
    const position = this.#positionOf(node, depth, length, this.entries.keys, at);
    const [heap, base] = this.#heapOf(node);
    heap[base + position] = entry + 1;
    if (node !== ROOT) heap[base]!++;
    this.#paint(node, position, this.entries.valueOf(entry) + 1);
  }

  /** After something was taken out: replaces a node by its last node, or by a bucket. */
  #dissolve(node: number, parent: number, parentAt: number): void {
    if (node === ROOT) return;
    const base = node * NODE_SLOTS * 2;
    const held = this.#heaps[base]!;
    let below = 0;
    let links = 0;
    let last = 0;
    for (let at = base + 1; at < base + NODE_SLOTS * 2; at += 2) {
      const link = this.slots[at]!;
      if (link === 0) continue;
      links++;
      last = link;
      below += link < 0 ? this.buckets.count(~link) : BUCKET_SIZE;
    }
    if (held === 0 && links === 1) {
      this.#setLink(parent, parentAt, last);
    } else if (held + below <= NODE_MINIMUM) {
      this.#setLink(parent, parentAt, ~this.#gather(base));
    } else {
      return;
    }
    this.#heaps[base + 1] = this.#freeNode;
    this.#freeNode = node;
  }

  /** Moves all prefixes of the node at `base`, which has no node below, into one new bucket. */
  #gather(base: number): number {
    const { buckets } = this;
    let bucket = -1;
    const take = (entry: number): void => {
      bucket = bucket < 0 ? buckets.create(entry) : buckets.add(bucket, entry);
    };
    for (let position = 2; position < NODE_SLOTS * 2; position++) {
      const held = this.#heaps[base + position]!;
      if (held > 0) take(held - 1);
    }
    for (let at = base + 1; at < base + NODE_SLOTS * 2; at += 2) {
      const link = this.slots[at]!;
      if (link === 0) continue;
      for (let i = 0; i < buckets.count(~link); i++) take(buckets.entryAt(~link, i));
      buckets.destroy(~link);
    }
    return bucket;
  }

  #createNode(depth: number, keys: Int32Array, at: number): number {
    let node = this.#freeNode;
    if (node >= 0) {
      this.#freeNode = this.#heaps[node * NODE_SLOTS * 2 + 1]!;
    } else {
      node = this.#nodeCount++;
      if (node * NODE_SLOTS * 2 === this.slots.length) this.#grow(grown(node));
    }
    const base = node * NODE_SLOTS * 2;
    this.slots.fill(0, base, base + NODE_SLOTS * 2);
    this.#heaps.fill(0, base, base + NODE_SLOTS * 2);
    for (let i = 0; i < this.#keyWords; i++) {
      this.nodeKeys[node * this.#keyWords + i] = keys[at + i]! & leadingOnes(depth * 4 - i * 32);
    }
    return node;
  }

  #grow(nodes: number): void {
    this.slots = resized(this.slots, nodes * NODE_SLOTS * 2);
    this.#heaps = resized(this.#heaps, nodes * NODE_SLOTS * 2);
    this.nodeKeys = resized(this.nodeKeys, nodes * this.#keyWords);
  }

  #replace(entry: number, value: number): number {
    const previous = this.entries.valueOf(entry);
    this.entries.setValue(entry, value);
    return previous;
  }

  /** Forgets an entry that is nowhere in the trie any more; returns its value. */
  #discard(entry: number): number {
    const value = this.entries.valueOf(entry);
    this.entries.remove(entry);
    // Room is reused as it is, but an emptied table gives back what it grew to.
    if (this.size === 0 && this.#nodeCount > WORTH_RELEASING) this.clear();
    return value;
  }

  /** Writes `value` into the slots below a heap position, except where a longer prefix covers. */
  #paint(node: number, position: number, value: number): void {
    const [heap, base] = this.#heapOf(node);
    if (node === ROOT) paint(heap, base, this.root, ROOT_SLOTS, position, position, value);
    else paint(heap, base, this.slots, NODE_SLOTS, position, position, value);
  }

  #heapOf(node: number): [Int32Array, number] {
    return node === ROOT ? [this.#rootHeap, 0] : [this.#heaps, node * NODE_SLOTS * 2];
  }

  /** Index in `root` or `slots` of the link that the key at `keys[at]` follows. */
  #slotOf(node: number, depth: number, keys: Int32Array, at: number): number {
    if (node === ROOT) return (keys[at]! >>> (32 - ROOT_BITS)) * 2 + 1;
    return (node * NODE_SLOTS + nibbleOf(keys, at, depth)) * 2 + 1;
  }

  /** Heap position of the prefix `keys[at]`/`length`, which this node holds or might. */
  #positionOf(node: number, depth: number, length: number, keys: Int32Array, at: number): number {
    if (node === ROOT) return (1 << length) | (keys[at]! >>> (32 - length));
    const bits = length - depth * 4;
    return (1 << bits) | (nibbleOf(keys, at, depth) >>> (4 - bits));
  }

  #linkAt(node: number, at: number): number {
    return node === ROOT ? this.root[at]! : this.slots[at]!;
  }

  #setLink(node: number, at: number, link: number): void {
    if (node === ROOT) this.root[at] = link;
    else this.slots[at] = link;
  }

  #nodeLink(node: number, depth: number): number {
    return (node << this.#depthBits) | depth;
  }
}

/** Depth, in nibbles, of the node that holds prefixes of this length: 0 is the root. */
function depthOf(length: number): number {
  return length <= ROOT_BITS ? 0 : (length - 1) >> 2;
}

/** `at` is `top` or below; below it, positions with a prefix of their own keep what they have. */
function paint(
  heap: Int32Array,
  base: number,
  slots: Int32Array,
  count: number,
  top: number,
  at: number,
  value: number,
): void {
  if (at !== top && heap[base + at] !== 0) return;
  if (at >= count) {
    slots[base + (at - count) * 2] = value;
    return;
  }
  paint(heap, base, slots, count, top, at * 2, value);
  paint(heap, base, slots, count, top, at * 2 + 1, value);
}
