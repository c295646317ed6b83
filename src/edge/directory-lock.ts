/**
 * One process per directory: an exclusive lock that the kernel takes back when its owner dies, however
 * it dies. Node has no flock(2), but its SQLite locks files with fcntl(2); so the lock is the write
 * lock of an empty database, held in a transaction that never ends.
 */
import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { fileError } from '../control/node/private-file.ts';
import { CausewayError } from '../errors.ts';

const LOCK_FILE = 'lock';
const SQLITE_BUSY = 5;
/** A predecessor that is just ending is waited for this long, in ms. */
const PATIENCE = 2_000;

export interface DirectoryLock {
  /** Harmless when called again. */
  release(): void;
}

/**
 * Locks an existing directory.
 *
 * @throws CausewayError DIRECTORY_IN_USE or FILE_ACCESS
 */
export function lockDirectory(directory: string, patience: number = PATIENCE): DirectoryLock {
  const path = join(directory, LOCK_FILE);
  let database: DatabaseSync | undefined;
  // SQLite alone touches the file: closing any other descriptor of it would drop our own lock.
  const umask = process.umask(0o177);
  try {
    database = new DatabaseSync(path, { timeout: patience });
    // The journal stays in memory: the lock leaves one file, and it stays empty.
    database.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE');
  } catch (error) {
    database?.close();
    throw explain(error as Error, directory);
  } finally {
    process.umask(umask);
  }
  const held = database;
  return {
    release: () => {
      if (held.isOpen) held.close();
    },
  };
}

/** SQLite says only that it cannot open the file. */
function denied(directory: string): unknown {
  try {
    accessSync(directory, constants.W_OK | constants.X_OK);
    return undefined;
  } catch (error) {
    return error;
  }
}

function explain(error: Error, directory: string): CausewayError {
  if ((error as { errcode?: number }).errcode === SQLITE_BUSY) {
    return new CausewayError(
      'DIRECTORY_IN_USE',
      `Another process uses ${directory}: end it first, or take another directory.`,
    );
  }
  return fileError(denied(directory) ?? error, directory, 'locked');
}
