/**
 * The addon and its TypeScript are built apart: whoever changes a function's shape has to say so by
 * another INTERFACE_VERSION here and in native/addon.cc, or an old addon would be taken for a new one.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { run } from '../../lab/process.ts';
import { INTERFACE_VERSION, loadAddon } from '../../src/native/addon.ts';

const SOURCE = join(import.meta.dirname, '../../src/native/addon.ts');
const KNOWN = '1 65fca37561ae8426';

test('another shape has another number', () => {
  const text = readFileSync(SOURCE, 'utf8');
  const [, body = ''] = /export interface Addon \{\n(.*?)\n\}\n/s.exec(text) ?? [];
  // Comments and the space between words are no part of the shape.
  const shape = body.replace(/\/\*\*.*?\*\//gs, '').replace(/\s+/g, ' ');
  const digest = createHash('sha256').update(shape).digest('hex').slice(0, 16);
  expect(`${INTERFACE_VERSION} ${digest}`).toBe(KNOWN);
  expect(loadAddon().interfaceVersion).toBe(INTERFACE_VERSION);
});

test('an addon of another version is refused, with what to do', async () => {
  const other = join(await mkdtemp(join(tmpdir(), 'causeway-')), 'addon.cjs');
  await writeFile(other, 'exports.interfaceVersion = 0; exports.bindResults = () => {};');
  const load = `import('${SOURCE}').then(({ loadAddon }) => loadAddon()).catch(({ code, message }) => console.log(code, message))`;
  const said = await run([process.execPath, '-e', load], {
    environment: { CAUSEWAY_ADDON: other },
  });
  await rm(dirname(other), { recursive: true });
  expect(said).toMatch(/^ADDON_MISSING .*another version.*npm run build/);
});
