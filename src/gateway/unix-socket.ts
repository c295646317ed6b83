/**
 * A listening UNIX socket with an owner: mode 0600 from the moment it exists, taken over when the
 * one who made it is dead, refused when it is alive, watched for removal, and unlinked at the end
 * only if it is still ours.
 *
 * The socket is bound under a temporary name and then hard-linked to its place. So it appears with
 * somebody already listening on it, an existing file is never overwritten, and libuv, which unlinks
 * the name it bound when it closes, cannot take away a successor's socket.
 */
import { type FSWatcher, type Stats, unwatchFile, watch, watchFile } from 'node:fs';
import { link, lstat, mkdir, unlink } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { CausewayError } from '../errors.ts';

/** A predecessor that is just ending is waited for this long. */
const TAKEOVER_MS = 2_000;
const TAKEOVER_POLL_MS = 50;

export interface UnixSocketOptions {
  readonly directory: string;
  /** Given to the directory if it has to be made. */
  readonly directoryMode: number;
  /** File name in the directory. */
  readonly name: string;
  readonly maxConnections: number;
  /** Takes the connection; its errors must be handled there. */
  readonly onConnection: (socket: Socket) => void;
}

export interface UnixSocket {
  readonly path: string;
  /** Resolves when somebody removed or replaced the file; never after `close`. */
  readonly removed: Promise<void>;
  /** Ends all connections and unlinks the file if it is ours. Harmless when called again. */
  close(): Promise<void>;
}

/**
 * @throws CausewayError SOCKET_IN_USE, PERMISSION or START_FAILED; nothing is left behind then
 */
export async function openUnixSocket(options: UnixSocketOptions): Promise<UnixSocket> {
  const { directory, name } = options;
  const path = join(directory, name);
  const temporary = join(directory, `.${name}.${process.pid}`);
  const connections = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    connections.add(socket);
    socket.once('close', () => connections.delete(socket));
    options.onConnection(socket);
  });
  server.maxConnections = options.maxConnections;
  let own: Stats;
  try {
    await mkdir(directory, { recursive: true, mode: options.directoryMode });
    own = await claim(server, temporary, path);
  } catch (error) {
    server.close();
    await unlink(temporary).catch(() => {});
    throw explain(error, path);
  }
  const watching = watchForRemoval(path, own);
  let closing: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    watching.stop();
    if (await isSame(path, own)) await unlink(path).catch(() => {});
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    for (const socket of connections) socket.destroy();
    await closed;
  };
  return {
    path,
    removed: watching.removed,
    close: () => {
      closing ??= close();
      return closing;
    },
  };
}

/** bind(2) happens inside `server.listen`, so the umask holds for it and nothing else. */
function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    const umask = process.umask(0o177);
    try {
      server.listen(path, () => {
        server.removeListener('error', reject);
        resolve();
      });
    } finally {
      process.umask(umask);
    }
  });
}

/** Removes a dead predecessor's socket, waits for a dying one's to go, then puts ours in place. */
async function claim(server: Server, temporary: string, path: string): Promise<Stats> {
  const deadline = performance.now() + TAKEOVER_MS;
  for (;;) {
    const found = await lstat(path).catch(() => undefined);
    if (found === undefined) {
      // Bound as late as possible: a process that is killed while it waits leaves nothing.
      if (!server.listening) {
        await unlink(temporary).catch(() => {});
        await listen(server, temporary);
      }
      try {
        await link(temporary, path);
        await unlink(temporary);
        return await lstat(path);
      } catch (error) {
        if (codeOf(error) !== 'EEXIST') throw error;
      }
    } else if (!found.isSocket()) {
      const message = `${path} exists and is no socket: look what it is, and remove it.`;
      throw new CausewayError('SOCKET_IN_USE', message);
    } else if (!(await answers(path))) {
      if (await isSame(path, found)) await unlink(path).catch(ignoreMissing);
    } else if (performance.now() > deadline) {
      const cure = 'stop it first, or take another interface name';
      throw new CausewayError('SOCKET_IN_USE', `Another process answers on ${path}: ${cure}.`);
    } else {
      await delay(TAKEOVER_POLL_MS);
    }
  }
}

/** Whether somebody accepts connections; anything but a plain refusal counts as yes. */
export function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', (error) => {
      resolve(!['ECONNREFUSED', 'ENOENT'].includes(codeOf(error) ?? ''));
    });
  });
}

async function isSame(path: string, file: Stats): Promise<boolean> {
  const found = await lstat(path).catch(() => undefined);
  return found !== undefined && found.ino === file.ino && found.dev === file.dev;
}

function watchForRemoval(path: string, own: Stats): { removed: Promise<void>; stop: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  let stopped = false;
  const check = async (): Promise<void> => {
    if (!stopped && !(await isSame(path, own)) && !stopped) resolve();
  };
  const onPoll = (): void => void check();
  let watcher: FSWatcher | undefined;
  try {
    watcher = watch(dirname(path), onPoll);
    watcher.on('error', () => watchFile(path, { interval: 1_000 }, onPoll));
  } catch {
    // No inotify instance left: look every second.
    watchFile(path, { interval: 1_000 }, onPoll);
  }
  // The file may have gone between linking and watching.
  onPoll();
  const stop = (): void => {
    stopped = true;
    watcher?.close();
    unwatchFile(path, onPoll);
  };
  return { removed: promise, stop };
}

/** Others clear up as well; what cannot be removed would be found again and again. */
function ignoreMissing(error: unknown): void {
  if (codeOf(error) !== 'ENOENT') throw error;
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}

function explain(error: unknown, path: string): CausewayError {
  if (error instanceof CausewayError) return error;
  const cause = error as NodeJS.ErrnoException;
  if (cause.code === 'EACCES' || cause.code === 'EPERM') {
    return new CausewayError('PERMISSION', `No permission to create ${path}: run as root.`, {
      cause,
    });
  }
  return new CausewayError(
    'START_FAILED',
    `The socket ${path} cannot be created: ${cause.message}.`,
    { cause },
  );
}
