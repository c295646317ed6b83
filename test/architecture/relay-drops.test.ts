/** `docs/relay-drops.md` shows the closed list of `relay-drops.ts`, in its order and words. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { RELAY_DROP_REASONS } from '../../src/control/relay/relay-drops.ts';

test('docs/relay-drops.md and relay-drops.ts say the same', () => {
  const page = readFileSync(join(import.meta.dirname, '../../docs/relay-drops.md'), 'utf8');
  const rows = [...page.matchAll(/^\| `(\w+)` \| (.+?) \|$/gm)].map(([, name, text]) => [
    name,
    text,
  ]);
  expect(rows).toEqual(Object.entries(RELAY_DROP_REASONS));
});
