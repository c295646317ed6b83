/** BLAKE2s written from RFC 7693 § 3, slow and short: the other implementation to compare with. */
const IV = [
  0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
];
/** § 2.7, one row per round, in hexadecimal digits. */
const SIGMA = [
  '0123456789abcdef',
  'ea489fd61c02b753',
  'b8c052fdae367194',
  '7931dcbe265a40f8',
  '905724afe1bc683d',
  '2c6a0b834d75fe19',
  'c51fed4a0763928b',
  'db7ec13950f4862a',
  '6fe9b308c2d714a5',
  'a2847615fb9e3cd0',
];
/** § 3.2: which words of the work vector each of the eight mixes of a round takes. */
const COLUMNS = [
  [0, 4, 8, 12],
  [1, 5, 9, 13],
  [2, 6, 10, 14],
  [3, 7, 11, 15],
  [0, 5, 10, 15],
  [1, 6, 11, 12],
  [2, 7, 8, 13],
  [3, 4, 9, 14],
];

function rotateRight(word: number, bits: number): number {
  return (word >>> bits) | (word << (32 - bits));
}

function compress(h: number[], block: Uint8Array, t: number, isLast: boolean): void {
  const view = new DataView(block.buffer, block.byteOffset, 64);
  const v = [...h, ...IV];
  v[12]! ^= t;
  if (isLast) v[14] = ~v[14]!;
  for (const row of SIGMA) {
    COLUMNS.forEach(([a, b, c, d], i) => {
      const word = (k: number) => view.getUint32(Number.parseInt(row[2 * i + k]!, 16) * 4, true);
      v[a!] = (v[a!]! + v[b!]! + word(0)) | 0;
      v[d!] = rotateRight(v[d!]! ^ v[a!]!, 16);
      v[c!] = (v[c!]! + v[d!]!) | 0;
      v[b!] = rotateRight(v[b!]! ^ v[c!]!, 12);
      v[a!] = (v[a!]! + v[b!]! + word(1)) | 0;
      v[d!] = rotateRight(v[d!]! ^ v[a!]!, 8);
      v[c!] = (v[c!]! + v[d!]!) | 0;
      v[b!] = rotateRight(v[b!]! ^ v[c!]!, 7);
    });
  }
  for (let i = 0; i < 8; i++) h[i]! ^= v[i]! ^ v[i + 8]!;
}

/** `size`: bytes of output, 1 to 32; `key`: 0 to 32 bytes. */
export function referenceBlake2s(
  input: Uint8Array,
  size: number,
  key: Uint8Array = new Uint8Array(0),
): Uint8Array {
  const h = [...IV];
  h[0]! ^= 0x01010000 ^ (key.length << 8) ^ size;
  const prefix = key.length > 0 ? 64 : 0;
  const data = new Uint8Array(Math.max(64, Math.ceil((prefix + input.length) / 64) * 64));
  data.set(key);
  data.set(input, prefix);
  const total = prefix + input.length;
  for (let at = 0; at < data.length; at += 64) {
    const isLast = at + 64 === data.length;
    compress(h, data.subarray(at, at + 64), isLast ? total : at + 64, isLast);
  }
  return new Uint8Array(Int32Array.from(h).buffer).slice(0, size);
}
