/** The file that keeps the relay's bindings over a restart. */
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { BINDINGS_KEPT, BindingsFile } from '../../../src/edge/relay/bindings-file.ts';

const NOW = 1_800_000_000_000;
const BYTES = Uint8Array.from({ length: 300 }, (_, i) => i);

let folder: string;
let path: string;
let logged: string[];
let file: BindingsFile;

const log = pino({}, { write: (line: string) => void logged.push(line) });

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'causeway-'));
  path = join(folder, 'bindings.json');
  logged = [];
  file = new BindingsFile(path, log);
});

afterEach(() => rmSync(folder, { recursive: true }));

test('reads what was written last, which only its owner may', async () => {
  file.write(new Uint8Array(3), NOW);
  file.write(BYTES, NOW);
  await file.settled();
  expect(await file.read(NOW + 1_000)).toEqual(BYTES);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(readdirSync(folder)).toEqual(['bindings.json']);
  expect(logged).toEqual([]);
});

test('there is none, or it is too old, or from the future', async () => {
  expect(await file.read(NOW)).toBeUndefined();
  file.write(BYTES, NOW);
  await file.settled();
  expect(await file.read(NOW + BINDINGS_KEPT)).toEqual(BYTES);
  expect(await file.read(NOW + BINDINGS_KEPT + 1)).toBeUndefined();
  expect(await file.read(NOW - BINDINGS_KEPT - 1)).toBeUndefined();
  expect(logged).toEqual([]);
});

test.each(['', '{', '[]', '{"version":2,"written":1,"bindings":""}', '{"version":1}'])(
  'it is no such file, which is said: %s',
  async (text) => {
    writeFileSync(path, text);
    expect(await file.read(NOW)).toBeUndefined();
    expect(logged).toHaveLength(1);
    expect(logged[0]).toContain(path);
  },
);

test('one write at a time; what is newer waits, and only the newest of it is written', async () => {
  const written: number[] = [];
  const replacements: PromiseWithResolvers<void>[] = [];
  const slow = new BindingsFile(path, log, (_path, text) => {
    written.push(JSON.parse(text).written);
    const replacement = Promise.withResolvers<void>();
    replacements.push(replacement);
    return replacement.promise;
  });
  for (const unix of [1, 2, 3, 4]) slow.write(BYTES, unix);
  expect(written).toEqual([1]);
  let isSettled = false;
  const settled = slow.settled().then(() => {
    isSettled = true;
  });
  // One that fails is said, and is in nobody's way.
  replacements[0]!.reject(new Error('no room'));
  await new Promise(setImmediate);
  expect([written, isSettled]).toEqual([[1, 4], false]);
  expect(logged).toHaveLength(1);
  replacements[1]!.resolve();
  await settled;
  slow.write(BYTES, 5);
  expect(written).toEqual([1, 4, 5]);
});
