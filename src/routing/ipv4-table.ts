/**
 * Longest-prefix match for IPv4: a `PrefixTrie` with addresses as unsigned 32-bit numbers (10.0.0.1 is
 * 0x0a000001).
 */
import { PrefixTrie } from './prefix-trie.ts';
import { leadingOnes } from './word-arrays.ts';

export class Ipv4Table extends PrefixTrie {
  constructor() {
    super(1);
  }

  /**
   * Sets the value (0 to MAX_VALUE) of a prefix; host bits are ignored. Returns the value that it had,
   * or NO_VALUE. A RangeError for a length or value out of range.
   */
  insert(address: number, length: number, value: number): number {
    this.#take(address, length);
    return this.insertKey(length, value);
  }

  /** Removes a prefix: what covers it shows again. Returns the value that it had, or NO_VALUE. */
  remove(address: number, length: number): number {
    this.#take(address, length);
    return this.removeKey(length);
  }

  /** The value of exactly this prefix, or NO_VALUE. */
  get(address: number, length: number): number {
    this.#take(address, length);
    return this.getKey(length);
  }

  /** The value of the longest prefix that contains the address, or NO_VALUE. Hot path. */
  lookup(address: number): number {
    const { root } = this.nodes;
    const at = (address >>> 16) * 2;
    let best = root[at]!;
    let link = root[at + 1]!;
    if (best === 0) best = this.defaultValue;
    if (link > 0) {
      const { slots, keys } = this.nodes;
      // Bits behind the nibble taken last; a node that leaves fewer was reached by a skipped path.
      let rest = 16;
      do {
        const node = link >>> 3;
        const behind = 32 - (link & 7) * 4;
        if (behind !== rest && (address ^ keys[node]!) >>> behind !== 0) return best - 1;
        rest = behind - 4;
        const slot = (node * 16 + ((address >>> rest) & 15)) * 2;
        const value = slots[slot]!;
        if (value !== 0) best = value;
        link = slots[slot + 1]!;
      } while (link > 0);
    }
    if (link !== 0) {
      // Bucket elements of two words: value << 8 | length, key. The first that matches is longest.
      const elements = this.buckets.elements;
      let element = (~link >>> 4) * 2;
      const last = element + (~link & 15) * 2;
      for (; element <= last; element += 2) {
        const packed = elements[element]!;
        const differs = (address ^ elements[element + 1]!) >>> (32 - (packed & 0xff));
        if (differs === 0) return packed >>> 8;
      }
    }
    return best - 1;
  }

  #take(address: number, length: number): void {
    if (!(length >= 0 && length <= 32)) throw new RangeError(`no IPv4 prefix length: ${length}`);
    this.key[0] = address & leadingOnes(length);
  }
}
