/**
 * Longest-prefix match for IPv6: a `PrefixTrie` with addresses as sixteen bytes in network order,
 * wherever they lie, so that a packet's header is looked up in place.
 */
import { PrefixTrie } from './prefix-trie.ts';
import { leadingOnes } from './word-arrays.ts';

/** Words of a bucket element: value << 8 | length, and the key. */
const ELEMENT = 5;

export class Ipv6Table extends PrefixTrie {
  constructor() {
    super(4);
  }

  /**
   * Sets the value (0 to MAX_VALUE) of the prefix whose address is at `offset`; host bits are ignored.
   * Returns the value that it had, or NO_VALUE. A RangeError for a length or value out of range.
   */
  insert(bytes: Uint8Array, offset: number, length: number, value: number): number {
    this.#take(bytes, offset, length);
    return this.insertKey(length, value);
  }

  /** Removes a prefix: what covers it shows again. Returns the value that it had, or NO_VALUE. */
  remove(bytes: Uint8Array, offset: number, length: number): number {
    this.#take(bytes, offset, length);
    return this.removeKey(length);
  }

  /** The value of exactly this prefix, or NO_VALUE. */
  get(bytes: Uint8Array, offset: number, length: number): number {
    this.#take(bytes, offset, length);
    return this.getKey(length);
  }

  /**
   * The value of the longest prefix that contains the address at `offset`, or NO_VALUE. Hot path; the
   * bytes are borrowed until return.
   */
  lookup(bytes: Uint8Array, offset: number): number {
    const { root } = this.nodes;
    const at = ((bytes[offset]! << 8) | bytes[offset + 1]!) * 2;
    let best = root[at]!;
    let link = root[at + 1]!;
    if (best === 0) best = this.defaultValue;
    // Nibbles known to agree with whatever lies at `link`.
    let depth = 4;
    if (link > 0) {
      const { slots, keys } = this.nodes;
      do {
        const node = link >>> 5;
        const reached = link & 31;
        if (reached !== depth && !agrees(bytes, offset, keys, node * 4, depth >> 3, reached * 4)) {
          return best - 1;
        }
        const nibble = (bytes[offset + (reached >> 1)]! >>> (4 - (reached & 1) * 4)) & 15;
        const slot = (node * 16 + nibble) * 2;
        const value = slots[slot]!;
        if (value !== 0) best = value;
        link = slots[slot + 1]!;
        depth = reached + 1;
      } while (link > 0);
    }
    if (link === 0) return best - 1;
    // Every prefix in the bucket is longer than `depth` nibbles, so it ends in `word` or behind it.
    // The first that matches is the longest.
    const elements = this.buckets.elements;
    const word = depth >> 3;
    const ours = readWord(bytes, offset + word * 4);
    let element = (~link >>> 4) * ELEMENT;
    const last = element + (~link & 15) * ELEMENT;
    for (; element <= last; element += ELEMENT) {
      const packed = elements[element]!;
      const length = packed & 0xff;
      const shared = Math.clz32(ours ^ elements[element + 1 + word]!);
      if (
        shared >= length - word * 32 ||
        (shared === 32 && agrees(bytes, offset, elements, element + 1, word + 1, length))
      ) {
        return packed >>> 8;
      }
    }
    return best - 1;
  }

  #take(bytes: Uint8Array, offset: number, length: number): void {
    if (!(length >= 0 && length <= 128)) throw new RangeError(`no IPv6 prefix length: ${length}`);
    for (let i = 0; i < 4; i++) {
      this.key[i] = readWord(bytes, offset + i * 4) & leadingOnes(length - i * 32);
    }
  }
}

function readWord(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;
}

/** Whether the address agrees with the key at `words[at]` from word `from` to bit `length`. */
function agrees(
  bytes: Uint8Array,
  offset: number,
  words: Int32Array,
  at: number,
  from: number,
  length: number,
): boolean {
  let i = from;
  for (; (i + 1) * 32 <= length; i++) {
    if (readWord(bytes, offset + i * 4) !== words[at + i]) return false;
  }
  const rest = length - i * 32;
  return rest <= 0 || (readWord(bytes, offset + i * 4) ^ words[at + i]!) >>> (32 - rest) === 0;
}
