/** Whose socket it is: a dead predecessor's is taken over, and what cannot be taken over is said. */
import { spawnSync } from 'node:child_process';
import type * as promises from 'node:fs/promises';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { openUnixSocket, type UnixSocket } from '../../../src/gateway/unix-socket.ts';

const refuse = vi.hoisted(() => ({ unlink: undefined as string | undefined }));
vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof promises>();
  const unlink = async (path: string): Promise<void> => {
    if (path === refuse.unlink) {
      throw Object.assign(new Error('EROFS: read-only file system, unlink'), { code: 'EROFS' });
    }
    return real.unlink(path);
  };
  return { ...real, unlink };
});

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'socket-'));
});
afterEach(async () => {
  refuse.unlink = undefined;
  await rm(directory, { recursive: true });
});

const open = (): Promise<UnixSocket> =>
  openUnixSocket({
    directory,
    directoryMode: 0o700,
    name: 'lock',
    maxConnections: 1,
    onConnection: (socket) => socket.destroy(),
  });

/** As a kill -9 leaves it: a socket, and nobody listens. */
function leaveSocket(path: string): void {
  const program =
    'require("net").createServer().listen(process.argv[1], () => process.kill(process.pid, 9))';
  spawnSync(process.execPath, ['-e', program, path]);
}

test("a dead predecessor's is taken over", async () => {
  leaveSocket(join(directory, 'lock'));
  const socket = await open();
  await socket.close();
});

test('one that cannot be removed is an error, not waited for', async () => {
  const path = join(directory, 'lock');
  leaveSocket(path);
  refuse.unlink = path;
  await expect(open()).rejects.toMatchObject({
    code: 'START_FAILED',
    message: expect.stringMatching(/lock.*read-only file system/),
  });
});
