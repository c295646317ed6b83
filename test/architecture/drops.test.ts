/** `docs/drops.md` shows the closed list of `src/drops.ts`, in its order and words. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { DROP_REASONS } from '../../src/drops.ts';

test('docs/drops.md and src/drops.ts say the same', () => {
  const page = readFileSync(join(import.meta.dirname, '../../docs/drops.md'), 'utf8');
  const rows = [...page.matchAll(/^\| `(\w+)` \| (.+?) \|$/gm)].map(([, name, text]) => [
    name,
    text,
  ]);
  expect(rows).toEqual(Object.entries(DROP_REASONS));
});
