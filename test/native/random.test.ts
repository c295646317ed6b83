/** Random bytes of the kernel. */
import { expect, it } from 'vitest';
import { addon } from './addon-under-test.ts';

/** Larger than what one call of getrandom(2) gives without fail. */
const SIZES = [0, 1, 32, 256, 257, 100_000];

it.each(SIZES)('fills %i bytes and not one more', (size) => {
  const bytes = new Uint8Array(size + 16);
  addon.random(bytes.subarray(8, 8 + size));
  expect([...bytes.subarray(0, 8), ...bytes.subarray(8 + size)]).toEqual(new Array(16).fill(0));
});

it('leaves no byte out, and no two alike', () => {
  const seen = Array.from({ length: 64 }, () => new Set<number>());
  for (let i = 0; i < 64; i++) {
    const bytes = new Uint8Array(64);
    addon.random(bytes);
    for (const [at, byte] of bytes.entries()) seen[at]!.add(byte);
  }
  // Of 64 draws from 256, about 57 differ; fewer than 30 is as good as impossible.
  for (const values of seen) expect(values.size).toBeGreaterThan(30);
});
