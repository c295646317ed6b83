/**
 * The directory where an enrolled connector keeps what it needs to come up: root's alone, files of
 * mode 0600 replaced in one step and flushed to the disk, and a lock that dies with its holder.
 *
 * The lock is a listening UNIX socket: it cannot be left behind by a kill -9, and it is seen through
 * the file itself, also by a container that shares the directory.
 */
import { chmod, mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { CausewayError } from '../../errors.ts';
import { openUnixSocket } from '../unix-socket.ts';

export const DEFAULT_STATE_DIRECTORY = '/var/lib/causeway';
const LOCK = 'lock';
/** A path to a UNIX socket is at most 107 bytes; the lock's temporary name takes some of them. */
const MAX_PATH_LENGTH = 80;

export interface StateDirectory {
  /** Absolute. */
  readonly path: string;
  /** The file's text; undefined if there is none. */
  read(name: string): Promise<string | undefined>;
  /** Replaces the file in one step: whoever reads it, also after a crash, sees the old or the new. */
  write(name: string, text: string): Promise<void>;
  remove(name: string): Promise<void>;
  /** Gives the lock back. */
  close(): Promise<void>;
}

/**
 * Makes the directory if need be and locks it.
 *
 * @throws CausewayError DIRECTORY_IN_USE, PERMISSION, FILE_ACCESS, CONFIG_VALUE
 */
export async function openStateDirectory(given: string): Promise<StateDirectory> {
  const path = resolve(given);
  if (Buffer.byteLength(path) > MAX_PATH_LENGTH) {
    const message = `The state directory ${path} has a path longer than ${MAX_PATH_LENGTH} bytes: take a shorter one.`;
    throw new CausewayError('CONFIG_VALUE', message);
  }
  try {
    await mkdir(path, { recursive: true, mode: 0o700 });
    const { mode } = await stat(path);
    if ((mode & 0o077) !== 0) await chmod(path, 0o700);
  } catch (error) {
    throw explain(error, path);
  }
  const lock = await openUnixSocket({
    directory: path,
    directoryMode: 0o700,
    name: LOCK,
    maxConnections: 4,
    onConnection: (socket) => {
      socket.on('error', () => {});
      socket.destroy();
    },
  }).catch((error: unknown) => {
    if (!(error instanceof CausewayError) || error.code !== 'SOCKET_IN_USE') throw error;
    const message = `Another connector runs with the identity in ${path}: end it first (\`connector down\`), or give this one a --state-dir of its own.`;
    throw new CausewayError('DIRECTORY_IN_USE', message, { cause: error });
  });
  return {
    path,
    read: (name) => readState(path, name),
    write: (name, text) => writeAtomically(join(path, name), text),
    remove: (name) => rm(join(path, name), { force: true }),
    close: () => lock.close(),
  };
}

/**
 * Reads a file of a state directory, locked or not.
 *
 * @throws CausewayError PERMISSION, FILE_ACCESS
 */
export async function readState(directory: string, name: string): Promise<string | undefined> {
  const path = join(directory, name);
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw explain(error, path);
  }
}

async function writeAtomically(path: string, text: string): Promise<void> {
  const temporary = `${path}.new`;
  try {
    // One that a crash left may have any mode: it is never written into.
    await rm(temporary, { force: true });
    const file = await open(temporary, 'wx', 0o600);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
    // The name is in the directory: it is on the disk only when that is.
    const directory = await open(dirname(path), 'r');
    await directory.sync().finally(() => directory.close());
  } catch (error) {
    throw explain(error, path);
  }
}

function explain(error: unknown, path: string): CausewayError {
  if (error instanceof CausewayError) return error;
  const cause = error as NodeJS.ErrnoException;
  const denied = cause.code === 'EACCES' || cause.code === 'EPERM';
  return new CausewayError(
    denied ? 'PERMISSION' : 'FILE_ACCESS',
    denied
      ? `No permission for ${path}: run as root, or set --state-dir.`
      : `${path} cannot be used: ${cause.message}.`,
    { cause },
  );
}
