/** A report's items: each for itself, within its time and its size. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Redaction } from '../../../../src/gateway/bugreport/redaction.ts';
import { collect, MAX_ITEM } from '../../../../src/gateway/bugreport/report-collector.ts';
import type { ReportItem } from '../../../../src/gateway/bugreport/report-items.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'collector-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

async function textsOf(items: readonly ReportItem[], timeoutMs?: number): Promise<string[]> {
  const collected = await collect(items, new Redaction([]), timeoutMs);
  expect(collected.map(({ name }) => name)).toEqual(items.map(({ name }) => name));
  return collected.map(({ text }) => text);
}

test('what fails says so in its place, and the rest is there', async () => {
  const texts = await textsOf([
    { name: 'one', command: ['printf', 'hello'] },
    { name: 'missing', command: ['no-such-program-anywhere'] },
    { name: 'no-file', file: join(folder, 'nothing') },
    { name: 'failed', command: ['sh', '-c', 'echo out; echo err >&2; exit 3'] },
    { name: 'broken', text: () => Promise.reject(new Error('no idea')) },
    { name: 'folder', file: folder },
    { name: 'last', text: () => 'done' },
  ]);
  expect(texts[0]).toBe('$ printf hello\nhello');
  expect(texts[1]).toMatch(/^\(not collected: The command no-such-program-anywhere is not here/);
  expect(texts[2]).toMatch(/^\(could not be read: ENOENT/);
  expect(texts[3]).toBe('(exit code 3)\nout\n\n-- on stderr --\nerr\n');
  expect(texts[4]).toContain('no idea');
  expect(texts[5]).toContain('EISDIR');
  expect(texts[6]).toBe('done');
});

test('what does not end is ended, with all that it started', async () => {
  const started = performance.now();
  const [text] = await textsOf(
    [{ name: 'x', command: ['sh', '-c', 'echo begun; sleep 60 & sleep 60'] }],
    300,
  );
  expect(performance.now() - started).toBeLessThan(10_000);
  expect(text).toBe('(ended after 0.3 s)\nbegun\n');
});

test('what is too long is cut between lines, at the end that matters less', async () => {
  const lines = Array.from({ length: 200_000 }, (_, i) => `line ${i}`).join('\n');
  const file = join(folder, 'long');
  writeFileSync(file, lines);
  const [head, tail, read] = await textsOf([
    { name: 'head', command: ['cat', file] },
    { name: 'tail', command: ['cat', file], tail: true },
    { name: 'read', file },
  ]);
  for (const text of [head!, tail!, read!]) expect(text.length).toBeLessThan(MAX_ITEM + 300);
  expect(head).toMatch(/\nline \d+\n\(\d+ more characters were left out\)\n$/);
  expect(tail).toMatch(/\(the beginning was left out\)\nline \d+\n[\s\S]*\nline 199999$/);
  expect(read).toMatch(/^line 0\n[\s\S]*\nline \d+\n\(\d+ more characters were left out\)\n$/);
});

test('of one long line no word is cut, for it might be half a secret', async () => {
  const file = join(folder, 'line');
  const word = `cwt_${'a'.repeat(43)}`;
  writeFileSync(file, `${word},`.repeat(MAX_ITEM / 40));
  const [text] = await textsOf([{ name: 'line', file }]);
  expect(text).not.toMatch(/cwt_|aaa/);
});
