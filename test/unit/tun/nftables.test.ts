/** A table that `nft` does not remove is not forgotten. */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { removeTable } from '../../../src/tun/nftables.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'nft-'));
  vi.stubEnv('PATH', folder);
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

/** An `nft` whose `delete` and `list` end with these codes. */
function program(codes: { readonly delete: number; readonly list: number }): void {
  const path = join(folder, 'nft');
  const text = `#!/bin/sh\ncase "$*" in delete*) exit ${codes.delete};; *list*) exit ${codes.list};; esac\n`;
  writeFileSync(path, text);
  chmodSync(path, 0o755);
}

test('quiet when it is gone, or was never there', async () => {
  program({ delete: 0, list: 1 });
  await removeTable('causeway-wg0');
  program({ delete: 1, list: 1 });
  await removeTable('causeway-wg0');
});

test('an error while it is still there', async () => {
  program({ delete: 1, list: 0 });
  await expect(removeTable('causeway-wg0')).rejects.toMatchObject({ code: 'COMMAND_FAILED' });
});
