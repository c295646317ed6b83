/** Directories and files that only their owner may read; files are replaced in one step and flushed to the disk. */
import { chmod, mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { CausewayError } from '../../errors.ts';

/**
 * Makes the directory (0700) if need be, and takes the rights of others away.
 *
 * @throws CausewayError FILE_ACCESS
 */
export async function makePrivateDirectory(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true, mode: 0o700 });
    const { mode } = await stat(path);
    if ((mode & 0o077) !== 0) await chmod(path, 0o700);
  } catch (error) {
    throw fileError(error, path, 'used as a directory of ours');
  }
}

/**
 * The file's text; undefined if there is none.
 *
 * @throws CausewayError FILE_ACCESS
 */
export async function readPrivateFile(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw fileError(error, path, 'read');
  }
}

/**
 * Whoever reads the file, also after a crash, sees the old text or the new.
 *
 * @throws CausewayError FILE_ACCESS
 */
export async function writePrivateFile(path: string, text: string): Promise<void> {
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
    throw fileError(error, path, 'written');
  }
}

/** FILE_ACCESS, with the system's error as its cause. */
export function fileError(error: unknown, path: string, what: string): CausewayError {
  const { message, code } = error as NodeJS.ErrnoException;
  if (code === 'EACCES' || code === 'EPERM') {
    const advice = `${path} cannot be ${what} by this user: run this as root, or as the user whose it is.`;
    return new CausewayError('FILE_ACCESS', advice, { cause: error });
  }
  return new CausewayError('FILE_ACCESS', `${path} cannot be ${what}: ${message}.`, {
    cause: error,
  });
}
