/** The file that keeps the relay's bindings over a restart. */
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  BINDINGS_KEPT,
  readBindings,
  writeBindings,
} from '../../../src/edge/relay/bindings-file.ts';

const NOW = 1_800_000_000_000;
const BYTES = Uint8Array.from({ length: 300 }, (_, i) => i);

let folder: string;
let path: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'causeway-'));
  path = join(folder, 'bindings.json');
});

afterEach(() => rmSync(folder, { recursive: true }));

test('reads what was written, which only its owner may', () => {
  writeBindings(path, new Uint8Array(3), NOW);
  writeBindings(path, BYTES, NOW);
  expect(readBindings(path, NOW + 1_000)).toEqual(BYTES);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(readdirSync(folder)).toEqual(['bindings.json']);
});

test('a file that a crash left half-written is in nobody’s way', () => {
  writeFileSync(`${path}.new`, 'half', { mode: 0o644 });
  writeBindings(path, BYTES, NOW);
  expect(readBindings(path, NOW)).toEqual(BYTES);
});

test('there is none, or it is too old, or from the future', () => {
  expect(readBindings(path, NOW)).toBeUndefined();
  writeBindings(path, BYTES, NOW);
  expect(readBindings(path, NOW + BINDINGS_KEPT)).toEqual(BYTES);
  expect(readBindings(path, NOW + BINDINGS_KEPT + 1)).toBeUndefined();
  expect(readBindings(path, NOW - BINDINGS_KEPT - 1)).toBeUndefined();
});

test.each(['', '{', '[]', '{"version":2,"written":1,"bindings":""}', '{"version":1}'])(
  'throws if it is no such file: %s',
  (text) => {
    writeFileSync(path, text);
    expect(() => readBindings(path, NOW)).toThrow();
  },
);
