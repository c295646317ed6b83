/**
 * Longest-prefix match for one address family, as far as the two have it in common: everything that
 * changes the table. They add the lookup. Chosen by measurement among other structures, see
 * docs/decisions/002-longest-prefix-match.md.
 *
 *     root, 16 bits ──► node, 4 bits ──► node ──► bucket of up to 16 prefixes
 *          └──────────► bucket
 *
 * A key's first 16 bits choose a slot of the root. Up to BUCKET_SIZE prefixes behind one slot share a
 * bucket; more of them make a node where their paths part, so paths without branches are skipped and
 * a node keeps its key. `PrefixNodes` and `PrefixBuckets` say what is in them.
 *
 * Invariant: a node without nodes below it has more than NODE_MINIMUM prefixes, held by itself or in
 * its buckets; any other node has at least two things, prefixes or links. So there are fewer nodes
 * than prefixes, whatever the prefixes are, and a change makes or ends at most two nodes.
 *
 * The prefix of length 0 is no part of the trie: `defaultValue`.
 */
import type { Prefix } from './prefix.ts';
import { BUCKET_SIZE, PrefixBuckets } from './prefix-buckets.ts';
import { MAX_VALUE, PrefixEntries } from './prefix-entries.ts';
import { depthOf, PrefixNodes, ROOT } from './prefix-nodes.ts';
import { commonNibbles } from './word-arrays.ts';

/** Result of a lookup that finds nothing, and of a change where nothing was before. */
export const NO_VALUE = -1;

/** A node left with no more than this, all in buckets, becomes one: half, so churn does not flap. */
const NODE_MINIMUM = BUCKET_SIZE >> 1;
/** Room for entries from which on an emptied table lets go of its memory. */
const WORTH_RELEASING = 4_096;

export abstract class PrefixTrie {
  protected nodes!: PrefixNodes;
  protected buckets!: PrefixBuckets;
  /** value + 1 of the prefix of length 0, or 0. */
  protected defaultValue = 0;
  /** The prefix at hand, left here by the family's own methods, host bits zero. */
  protected readonly key: Int32Array;

  readonly #keyWords: 1 | 4;
  #entries!: PrefixEntries;
  #defaultEntry = -1;

  protected constructor(keyWords: 1 | 4) {
    this.#keyWords = keyWords;
    this.key = new Int32Array(keyWords);
    this.clear();
  }

  /** Prefixes in the table. */
  get size(): number {
    return this.#entries.size;
  }

  /** Nodes of the trie below its root, for statistics and tests: always fewer than prefixes. */
  get nodeCount(): number {
    return this.nodes.count;
  }

  /** Bytes of address space set aside, untouched pages of the root (1 MiB) included. */
  get allocatedBytes(): number {
    return this.nodes.allocatedBytes + this.buckets.allocatedBytes + this.#entries.allocatedBytes;
  }

  /** Removes every prefix and gives the memory back. */
  clear(): void {
    this.#entries = new PrefixEntries(this.#keyWords);
    this.buckets = new PrefixBuckets(this.#entries);
    this.nodes = new PrefixNodes(this.#entries);
    this.#defaultEntry = -1;
    this.defaultValue = 0;
  }

  /** Removes every prefix with this value; returns how many there were. */
  removeValue(value: number): number {
    for (let removed = 0; ; removed++) {
      const entries = this.#entries;
      const entry = entries.firstOf(value);
      if (entry < 0) return removed;
      const at = entry * this.#keyWords;
      for (let i = 0; i < this.#keyWords; i++) this.key[i] = entries.keys[at + i]!;
      this.removeKey(entries.lengthOf(entry));
    }
  }

  /** Values that have a prefix, in the order in which they got their first. */
  values(): IterableIterator<number> {
    return this.#entries.values();
  }

  /** The prefixes of a value in order of insertion; one that had another value before counts anew. */
  prefixesOf(value: number): Prefix[] {
    const entries = this.#entries;
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
      found.push({
        family: this.#keyWords === 1 ? 4 : 6,
        address,
        length: entries.lengthOf(entry),
      });
      entry = entries.next(entry);
    } while (entry !== first);
    return found;
  }

  /** Sets the value of `key`/`length`; returns the one before, or NO_VALUE. */
  protected insertKey(length: number, value: number): number {
    if (!(value >= 0 && value <= MAX_VALUE)) throw new RangeError(`no value of a table: ${value}`);
    if (length > 0) return this.#insertBelow(length, value);
    this.defaultValue = value + 1;
    if (this.#defaultEntry >= 0) return this.#revalue(this.#defaultEntry, value);
    this.#defaultEntry = this.#entries.create(this.key, 0, value);
    return NO_VALUE;
  }

  /** Removes `key`/`length`; returns its value, or NO_VALUE if it is not in the table. */
  protected removeKey(length: number): number {
    if (length > 0) return this.#removeBelow(length);
    const entry = this.#defaultEntry;
    if (entry < 0) return NO_VALUE;
    this.#defaultEntry = -1;
    this.defaultValue = 0;
    return this.#discard(entry);
  }

  /** Value of exactly `key`/`length`, or NO_VALUE. */
  protected getKey(length: number): number {
    const entry = length === 0 ? this.#defaultEntry : this.#find(length);
    return entry < 0 ? NO_VALUE : this.#entries.valueOf(entry);
  }

  #insertBelow(length: number, value: number): number {
    const { nodes, buckets, key } = this;
    const entries = this.#entries;
    const target = depthOf(length);
    let node = ROOT;
    let depth = 0;
    while (depth < target) {
      const slot = nodes.slotOf(node, depth, key, 0);
      const link = nodes.link(node, slot);
      if (link > 0) {
        const child = nodes.nodeOf(link);
        const childDepth = nodes.depthOf(link);
        const childKey = child * this.#keyWords;
        const limit = Math.min(target, childDepth);
        depth = commonNibbles(key, 0, nodes.keys, childKey, this.#keyWords, limit);
        if (depth === childDepth) {
          node = child;
          continue;
        }
        // The child's path leaves ours above it: a node where they part.
        const between = nodes.create(depth, nodes.keys, childKey);
        nodes.setLink(between, nodes.slotOf(between, depth, nodes.keys, childKey), link);
        nodes.setLink(node, slot, nodes.linkTo(between, depth));
        node = between;
        continue;
      }
      if (link === 0) {
        nodes.setLink(node, slot, ~buckets.create(entries.create(key, length, value)));
        return NO_VALUE;
      }
      const entry = buckets.find(~link, key, length);
      if (entry >= 0) {
        const previous = this.#revalue(entry, value);
        buckets.update(~link, entry);
        return previous;
      }
      if (buckets.count(~link) < BUCKET_SIZE) {
        nodes.setLink(node, slot, ~buckets.add(~link, entries.create(key, length, value)));
        return NO_VALUE;
      }
      this.#burst(node, slot, ~link);
    }
    const entry = nodes.held(node, depth, key, length);
    const previous = entry < 0 ? NO_VALUE : this.#revalue(entry, value);
    nodes.hold(node, depth, entry < 0 ? entries.create(key, length, value) : entry);
    return previous;
  }

  #removeBelow(length: number): number {
    const { nodes, buckets, key } = this;
    const target = depthOf(length);
    let parent = ROOT;
    let parentSlot = 0;
    let node = ROOT;
    let depth = 0;
    while (depth < target) {
      const slot = nodes.slotOf(node, depth, key, 0);
      const link = nodes.link(node, slot);
      if (link === 0) return NO_VALUE;
      if (link < 0) {
        const entry = buckets.find(~link, key, length);
        if (entry < 0) return NO_VALUE;
        // The handle of a bucket that is gone is -1: no link.
        nodes.setLink(node, slot, ~buckets.remove(~link, entry));
        this.#dissolve(node, parent, parentSlot);
        return this.#discard(entry);
      }
      parent = node;
      parentSlot = slot;
      node = nodes.nodeOf(link);
      depth = nodes.depthOf(link);
    }
    const entry = nodes.held(node, depth, key, length);
    if (entry < 0) return NO_VALUE;
    nodes.release(node, depth, entry);
    this.#dissolve(node, parent, parentSlot);
    return this.#discard(entry);
  }

  /** The entry of exactly `key`/`length` (> 0), or -1. */
  #find(length: number): number {
    const { nodes, key } = this;
    const target = depthOf(length);
    let node = ROOT;
    let depth = 0;
    while (depth < target) {
      const link = nodes.link(node, nodes.slotOf(node, depth, key, 0));
      if (link === 0) return -1;
      if (link < 0) return this.buckets.find(~link, key, length);
      node = nodes.nodeOf(link);
      depth = nodes.depthOf(link);
    }
    return nodes.held(node, depth, key, length);
  }

  /** Turns a full bucket into a node at the depth where its prefixes part. */
  #burst(node: number, slot: number, bucket: number): void {
    const { nodes, buckets } = this;
    const { keys } = this.#entries;
    const words = this.#keyWords;
    const count = buckets.count(bucket);
    const first = buckets.entryAt(bucket, 0) * words;
    // The shortest is last; the node must not lie below the place of any of them.
    let depth = depthOf(this.#entries.lengthOf(buckets.entryAt(bucket, count - 1)));
    for (let i = 1; i < count; i++) {
      depth = commonNibbles(keys, first, keys, buckets.entryAt(bucket, i) * words, words, depth);
    }
    const created = nodes.create(depth, keys, first);
    for (let i = 0; i < count; i++) this.#place(created, depth, buckets.entryAt(bucket, i));
    buckets.destroy(bucket);
    nodes.setLink(node, slot, nodes.linkTo(created, depth));
  }

  /** Puts an entry into a node without nodes below, or into one of its buckets. */
  #place(node: number, depth: number, entry: number): void {
    const { nodes, buckets } = this;
    if (depthOf(this.#entries.lengthOf(entry)) === depth) {
      nodes.hold(node, depth, entry);
      return;
    }
    const slot = nodes.slotOf(node, depth, this.#entries.keys, entry * this.#keyWords);
    const link = nodes.link(node, slot);
    nodes.setLink(node, slot, ~(link === 0 ? buckets.create(entry) : buckets.add(~link, entry)));
  }

  /** After something was taken out of a node: keeps the invariant. */
  #dissolve(node: number, parent: number, parentSlot: number): void {
    if (node === ROOT) return;
    const { nodes, buckets } = this;
    let prefixes = nodes.heldCount(node);
    const held = prefixes;
    let links = 0;
    let last = 0;
    nodes.eachLink(node, (link) => {
      links++;
      last = link;
      // A node below counts as too many.
      prefixes += link < 0 ? buckets.count(~link) : BUCKET_SIZE;
    });
    if (held === 0 && links === 1) nodes.setLink(parent, parentSlot, last);
    else if (prefixes <= NODE_MINIMUM) nodes.setLink(parent, parentSlot, ~this.#gather(node));
    else return;
    nodes.destroy(node);
  }

  /** Moves all prefixes of a node without nodes below into one new bucket. */
  #gather(node: number): number {
    const { nodes, buckets } = this;
    let bucket = -1;
    const take = (entry: number): void => {
      bucket = bucket < 0 ? buckets.create(entry) : buckets.add(bucket, entry);
    };
    nodes.eachHeld(node, take);
    nodes.eachLink(node, (link) => {
      for (let i = 0; i < buckets.count(~link); i++) take(buckets.entryAt(~link, i));
      buckets.destroy(~link);
    });
    return bucket;
  }

  #revalue(entry: number, value: number): number {
    const previous = this.#entries.valueOf(entry);
    this.#entries.setValue(entry, value);
    return previous;
  }

  /** Forgets an entry that is nowhere in the trie any more; returns its value. */
  #discard(entry: number): number {
    const value = this.#entries.valueOf(entry);
    this.#entries.remove(entry);
    // Room is used again as it is, but an emptied table gives back what it grew to.
    if (this.size === 0 && this.#entries.capacity > WORTH_RELEASING) this.clear();
    return value;
  }
}
