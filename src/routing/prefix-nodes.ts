/**
 * The branching part of the trie (`PrefixTrie` has the plan of the whole): the root, which takes the
 * first 16 bits of an address in one step, and the nodes, which take four bits each.
 *
 * The root holds the prefixes of length 1 to 16; a node at a depth of `d` nibbles those of length 4d+1
 * to 4d+4 that begin with its key. Both keep them in heap order: position 1 is the empty prefix, 2 and
 * 3 are one bit, and so on (the allotment routing table of Knuth and Hariguchi). For each value that
 * the next 16 or 4 bits may have, a slot of two words has what a lookup wants, side by side:
 *
 *   value + 1 of the longest prefix held here that covers the slot; 0 = none
 *   link to what lies deeper: 0 nothing; < 0 ~bucket; > 0 a node, node << depth bits | depth
 */
import type { PrefixEntries } from './prefix-entries.ts';
import { commonNibbles, grown, leadingOnes, nibbleOf, resized } from './word-arrays.ts';

/** Stands for the root where a node's number is asked for. */
export const ROOT = -1;

const ROOT_BITS = 16;
const ROOT_SLOTS = 1 << ROOT_BITS;
const NODE_SLOTS = 16;
/** Words of a node, both in `slots` and in the heaps. */
const NODE_WORDS = 32;
const INITIAL_NODES = 8;

/** Depth, in nibbles, of the node that holds prefixes of this length (≥ 1); 0 is the root. */
export function depthOf(length: number): number {
  return length <= ROOT_BITS ? 0 : (length - 1) >> 2;
}

export class PrefixNodes {
  /** Two words a slot. Pages that no prefix covers are never touched, so they take no memory. */
  readonly root = new Int32Array(ROOT_SLOTS * 2);
  /** Two words a slot, sixteen slots a node. */
  slots = new Int32Array(INITIAL_NODES * NODE_WORDS);
  /** A key for each node, zero behind its depth. */
  keys: Int32Array;
  readonly #entries: PrefixEntries;
  readonly #keyWords: number;
  readonly #depthBits: number;
  /** Entry + 1 at each heap position of the root. */
  readonly #rootHeap = new Int32Array(ROOT_SLOTS * 2);
  /** The same for each node; its word 0 counts its prefixes, word 1 is the next free node. */
  #heaps = new Int32Array(INITIAL_NODES * NODE_WORDS);
  #used = 0;
  #free = -1;
  #count = 0;

  constructor(entries: PrefixEntries) {
    this.#entries = entries;
    this.#keyWords = entries.keyWords;
    this.#depthBits = entries.keyWords === 1 ? 3 : 5;
    this.keys = new Int32Array(INITIAL_NODES * entries.keyWords);
  }

  /** Nodes in use, without the root. */
  get count(): number {
    return this.#count;
  }

  get allocatedBytes(): number {
    const arrays = [this.root, this.#rootHeap, this.slots, this.#heaps, this.keys];
    return arrays.reduce((sum, array) => sum + array.byteLength, 0);
  }

  /** An empty node; its key is the first `depth` nibbles of the key at `keys[at]`. */
  create(depth: number, keys: Int32Array, at: number): number {
    let node = this.#free;
    if (node >= 0) {
      this.#free = this.#heaps[node * NODE_WORDS + 1]!;
    } else {
      node = this.#used++;
      if (node * NODE_WORDS === this.slots.length) this.#grow(grown(node));
    }
    this.#count++;
    const base = node * NODE_WORDS;
    this.slots.fill(0, base, base + NODE_WORDS);
    this.#heaps.fill(0, base, base + NODE_WORDS);
    for (let i = 0; i < this.#keyWords; i++) {
      this.keys[node * this.#keyWords + i] = keys[at + i]! & leadingOnes(depth * 4 - i * 32);
    }
    return node;
  }

  destroy(node: number): void {
    this.#heaps[node * NODE_WORDS + 1] = this.#free;
    this.#free = node;
    this.#count--;
  }

  linkTo(node: number, depth: number): number {
    return (node << this.#depthBits) | depth;
  }

  nodeOf(link: number): number {
    return link >>> this.#depthBits;
  }

  depthOf(link: number): number {
    return link & ((1 << this.#depthBits) - 1);
  }

  /** Place of the link that the key at `keys[at]` follows, for `link` and `setLink`. */
  slotOf(node: number, depth: number, keys: Int32Array, at: number): number {
    if (node === ROOT) return (keys[at]! >>> (32 - ROOT_BITS)) * 2 + 1;
    return node * NODE_WORDS + nibbleOf(keys, at, depth) * 2 + 1;
  }

  link(node: number, slot: number): number {
    return node === ROOT ? this.root[slot]! : this.slots[slot]!;
  }

  setLink(node: number, slot: number, link: number): void {
    if (node === ROOT) this.root[slot] = link;
    else this.slots[slot] = link;
  }

  /** Calls `visit` with each link of a node that leads somewhere. */
  eachLink(node: number, visit: (link: number) => void): void {
    for (let slot = node * NODE_WORDS + 1; slot < (node + 1) * NODE_WORDS; slot += 2) {
      const link = this.slots[slot]!;
      if (link !== 0) visit(link);
    }
  }

  /** Prefixes that a node itself holds. */
  heldCount(node: number): number {
    return this.#heaps[node * NODE_WORDS]!;
  }

  /** Calls `visit` with the entry of each prefix that a node itself holds. */
  eachHeld(node: number, visit: (entry: number) => void): void {
    for (let at = node * NODE_WORDS + 2; at < (node + 1) * NODE_WORDS; at++) {
      const held = this.#heaps[at]!;
      if (held !== 0) visit(held - 1);
    }
  }

  /** The entry of `key`/`length` if the node stands in its place and holds it, else -1. */
  held(node: number, depth: number, key: Int32Array, length: number): number {
    if (depth !== depthOf(length)) return -1;
    if (node !== ROOT) {
      const words = this.#keyWords;
      if (commonNibbles(key, 0, this.keys, node * words, words, depth) < depth) return -1;
    }
    return this.#heap(node)[this.#base(node) + position(node, depth, key, 0, length)]! - 1;
  }

  /** Makes a node hold an entry, new or with a changed value. */
  hold(node: number, depth: number, entry: number): void {
    const heap = this.#heap(node);
    const base = this.#base(node);
    const length = this.#entries.lengthOf(entry);
    const at = position(node, depth, this.#entries.keys, entry * this.#keyWords, length);
    if (heap[base + at] === 0 && node !== ROOT) heap[base]!++;
    heap[base + at] = entry + 1;
    this.#paint(node, at, this.#entries.valueOf(entry) + 1);
  }

  /** Takes an entry that a node holds out of it; what covers it shows again. */
  release(node: number, depth: number, entry: number): void {
    const heap = this.#heap(node);
    const base = this.#base(node);
    const length = this.#entries.lengthOf(entry);
    const at = position(node, depth, this.#entries.keys, entry * this.#keyWords, length);
    heap[base + at] = 0;
    if (node !== ROOT) heap[base]!--;
    let cover = at >>> 1;
    while (cover > 1 && heap[base + cover] === 0) cover >>>= 1;
    this.#paint(node, at, cover > 1 ? this.#entries.valueOf(heap[base + cover]! - 1) + 1 : 0);
  }

  #heap(node: number): Int32Array {
    return node === ROOT ? this.#rootHeap : this.#heaps;
  }

  #base(node: number): number {
    return node === ROOT ? 0 : node * NODE_WORDS;
  }

  /** Writes `value` into the slots below a heap position, except where a longer prefix covers. */
  #paint(node: number, at: number, value: number): void {
    if (node === ROOT) paint(this.#rootHeap, 0, this.root, ROOT_SLOTS, at, at, value);
    else paint(this.#heaps, node * NODE_WORDS, this.slots, NODE_SLOTS, at, at, value);
  }

  #grow(nodes: number): void {
    this.slots = resized(this.slots, nodes * NODE_WORDS);
    this.#heaps = resized(this.#heaps, nodes * NODE_WORDS);
    this.keys = resized(this.keys, nodes * this.#keyWords);
  }
}

/** Heap position of the prefix `keys[at]`/`length` in the node that may hold it. */
function position(
  node: number,
  depth: number,
  keys: Int32Array,
  at: number,
  length: number,
): number {
  if (node === ROOT) return (1 << length) | (keys[at]! >>> (32 - length));
  const bits = length - depth * 4;
  return (1 << bits) | (nibbleOf(keys, at, depth) >>> (4 - bits));
}

/** `at` is `top` or below it; positions below `top` that hold a prefix keep what they have. */
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
