/**
 * The directory where an enrolled connector keeps what it needs to come up: root's alone, files of
 * mode 0600 replaced in one step and flushed to the disk, and a lock that dies with its holder.
 *
 * The lock is a listening UNIX socket: it cannot be left behind by a kill -9, and it is seen through
 * the file itself, also by a container that shares the directory.
 */
import { rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import {
  fileError,
  makePrivateDirectory,
  readPrivateFile,
  writePrivateFile,
} from '../../control/node/private-file.ts';
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
  await sayingPermission(path, makePrivateDirectory(path));
  const lock = await openUnixSocket({
    directory: path,
    directoryMode: 0o700,
    name: LOCK,
    maxConnections: 4,
    onConnection: (socket) => {
      socket.on('error', () => {});
      socket.destroy();
    },
  }).catch((error: CausewayError) => {
    if (error.code === 'START_FAILED') {
      const reason = (error.cause as Error).message;
      const message = `The state directory ${path} cannot be written (${reason}): see that it can be, or set another --state-dir.`;
      throw new CausewayError('FILE_ACCESS', message, { cause: error });
    }
    if (error.code !== 'SOCKET_IN_USE') throw error;
    const message = `A gateway runs with the identity in ${path} already (\`connector status\`): end it first (\`connector down\`), or give this one a --state-dir of its own.`;
    throw new CausewayError('DIRECTORY_IN_USE', message, { cause: error });
  });
  return {
    path,
    read: (name) => readState(path, name),
    write: (name, text) => {
      const file = join(path, name);
      return sayingPermission(file, writePrivateFile(file, text));
    },
    remove: (name) => removeState(join(path, name)),
    close: () => lock.close(),
  };
}

/**
 * Reads a file of a state directory, locked or not.
 *
 * @throws CausewayError PERMISSION, FILE_ACCESS
 */
export function readState(directory: string, name: string): Promise<string | undefined> {
  const path = join(directory, name);
  return sayingPermission(path, readPrivateFile(path));
}

async function removeState(path: string): Promise<void> {
  const removed = rm(path, { force: true }).catch((error: unknown) => {
    throw fileError(error, path, 'removed');
  });
  await sayingPermission(path, removed);
}

/** What fails for lack of permission says so, and what to do. */
async function sayingPermission<T>(path: string, operation: Promise<T>): Promise<T> {
  try {
    return await operation;
  } catch (error) {
    const code = ((error as Error).cause as NodeJS.ErrnoException | undefined)?.code;
    if (code !== 'EACCES' && code !== 'EPERM') throw error;
    const message = `No permission for ${path}: run as root, or set --state-dir.`;
    throw new CausewayError('PERMISSION', message, { cause: error });
  }
}
