import { chmodSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  makePrivateDirectory,
  readPrivateFile,
  writePrivateFile,
} from '../../../src/control/node/private-file.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'causeway-private-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const modeOf = (path: string): number => statSync(path).mode & 0o777;

describe('a private file', () => {
  test('is its owner’s alone and holds what was written last, whatever a crash left', async () => {
    const path = join(folder, 'secret');
    expect(await readPrivateFile(path)).toBeUndefined();
    writeFileSync(`${path}.new`, 'half', { mode: 0o666 });
    chmodSync(`${path}.new`, 0o666);
    writeFileSync(path, 'old', { mode: 0o644 });
    await writePrivateFile(path, 'new');
    expect(await readPrivateFile(path)).toBe('new');
    expect(modeOf(path)).toBe(0o600);
    expect(readdirSync(folder)).toEqual(['secret']);
  });

  test('that cannot be read or written is said, with the cause', async () => {
    const path = join(folder, 'nowhere', 'secret');
    await expect(writePrivateFile(path, 'new')).rejects.toMatchObject({
      code: 'FILE_ACCESS',
      message: expect.stringContaining(path),
      cause: { code: 'ENOENT' },
    });
    await expect(readPrivateFile(folder)).rejects.toMatchObject({
      code: 'FILE_ACCESS',
      cause: { code: 'EISDIR' },
    });
  });
});

test('a private directory is made, or taken from others', async () => {
  const path = join(folder, 'one', 'two');
  await makePrivateDirectory(path);
  expect(modeOf(path)).toBe(0o700);
  chmodSync(path, 0o755);
  await makePrivateDirectory(path);
  expect(modeOf(path)).toBe(0o700);
  writeFileSync(join(folder, 'file'), '');
  await expect(makePrivateDirectory(join(folder, 'file'))).rejects.toMatchObject({
    code: 'FILE_ACCESS',
  });
});
