/** Files that commands write for one pair of eyes. */
import {
  chmodSync,
  chownSync,
  linkSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openPrivateOutput } from '../../../src/gateway/private-output.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'output-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

test("a file is replaced, and its owner's alone", async () => {
  const path = join(folder, 'old');
  writeFileSync(path, 'something long that was there');
  chmodSync(path, 0o644);
  const { file, isFile } = await openPrivateOutput(path);
  await file.write('new');
  await file.close();
  expect([isFile, readFileSync(path, 'utf8'), statSync(path).mode & 0o777]).toEqual([
    true,
    'new',
    0o600,
  ]);
});

test('a link is not followed', async () => {
  const target = join(folder, 'target');
  writeFileSync(target, 'precious');
  symlinkSync(target, join(folder, 'link'));
  await expect(openPrivateOutput(join(folder, 'link'))).rejects.toThrow(/it is a link\.$/);
  expect(readFileSync(target, 'utf8')).toBe('precious');
  await expect(openPrivateOutput(folder)).rejects.toThrow(/cannot be written/);
});

test('a device keeps its mode', async () => {
  const { mode } = statSync('/dev/null');
  const { file, isFile } = await openPrivateOutput('/dev/null');
  await file.close();
  expect([isFile, statSync('/dev/null').mode]).toEqual([false, mode]);
});

test('a file that has another name as well is left as it is', async () => {
  const target = join(folder, 'shadow');
  writeFileSync(target, 'precious');
  linkSync(target, join(folder, 'hard'));
  await expect(openPrivateOutput(join(folder, 'hard'))).rejects.toThrow(/other name/);
  expect(readFileSync(target, 'utf8')).toBe('precious');
});

// Its owner may read it whatever its mode, and may have opened it already.
test.runIf(process.getuid?.() === 0)("somebody else's file is not written to", async () => {
  const path = join(folder, 'theirs');
  writeFileSync(path, 'bait');
  chownSync(path, 65_534, 65_534);
  await expect(openPrivateOutput(path)).rejects.toThrow(/belongs to another user/);
  expect(readFileSync(path, 'utf8')).toBe('bait');
  expect(statSync(path).mode & 0o777).not.toBe(0o600);
});
