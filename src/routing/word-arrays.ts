/** Arrays of 32-bit words that grow, and the bits of prefixes in them. */

/** Capacity to grow to: half as much again, so that little is set aside in vain. */
export function grown(capacity: number): number {
  return Math.ceil(capacity * 1.5);
}

export function resized(words: Int32Array, length: number): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(length);
  larger.set(words);
  return larger;
}

/** A word whose first `bits` are one: none when `bits` ≤ 0, all when ≥ 32. */
export function leadingOnes(bits: number): number {
  return bits <= 0 ? 0 : bits >= 32 ? -1 : -1 << (32 - bits);
}

/** Whether `count` words at `a[at]` and `b[bt]` are the same. */
export function equalWords(
  a: Int32Array,
  at: number,
  b: Int32Array,
  bt: number,
  count: number,
): boolean {
  for (let i = 0; i < count; i++) {
    if (a[at + i] !== b[bt + i]) return false;
  }
  return true;
}

/** The nibble behind the first `depth` nibbles of the key at `words[at]`. */
export function nibbleOf(words: Int32Array, at: number, depth: number): number {
  return (words[at + (depth >> 3)]! >>> (28 - (depth & 7) * 4)) & 15;
}

/** Nibbles that two keys of `count` words have in common, at most `limit`. */
export function commonNibbles(
  a: Int32Array,
  at: number,
  b: Int32Array,
  bt: number,
  count: number,
  limit: number,
): number {
  for (let i = 0; i < count; i++) {
    const difference = a[at + i]! ^ b[bt + i]!;
    if (difference !== 0) return Math.min(limit, i * 8 + (Math.clz32(difference) >> 2));
  }
  return limit;
}
