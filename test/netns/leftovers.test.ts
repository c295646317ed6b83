/** What a run of the lab that was killed left behind is given back by the next. */
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { FOLDERS, reclaimLeftovers } from '../../lab/leftovers.ts';
import { run } from '../../lab/process.ts';
import { netnsSuite } from './suite.ts';

netnsSuite('leftovers', [], () => {
  test('a folder with disks in it', async () => {
    // Of a process with another start time than that pid has.
    const folder = join(FOLDERS, 'cw-1-0-dead');
    const [outer, inner] = [join(folder, 'state'), join(folder, 'state/inner')] as const;
    for (const disk of [outer, inner]) {
      mkdirSync(disk, { recursive: true });
      await run(['mount', '-t', 'tmpfs', '-o', 'size=1m', 'none', disk]);
    }
    reclaimLeftovers();
    expect(existsSync(folder)).toBe(false);
  });
});
