/** Files that commands write for one pair of eyes. */
import {
  chmodSync,
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
