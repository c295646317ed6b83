/** `native/test`: splitting, coalescing and the sockets' vectors in C++ alone, against naive models. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { missing } from '../../lab/implementation.ts';
import { sanitized } from './addon-under-test.ts';

const run = promisify(execFile);
const program = 'build/native-tests';

const lack = sanitized
  ? 'scripts/sanitize runs it by itself'
  : missing('g++') === 'needs g++'
    ? 'needs g++'
    : undefined;

test.skipIf(lack)(
  lack ? `native/test (skipped: ${lack})` : 'native/test',
  async () => {
    await run('scripts/build-native-tests', [program, '-g']);
    const { stdout } = await run(program);
    expect(stdout.trim().split('\n').at(-1)).toMatch(/^\d+ passed, 0 failed, \d+ skipped$/);
  },
  300_000,
);
