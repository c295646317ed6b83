/**
 * A file for somebody's eyes only that a command writes where it is told: never to where a link leads,
 * never into a file that somebody else has made, and readable by nobody else. Devices and pipes stay as
 * they are.
 */
import { constants, type Stats } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { CausewayError } from '../errors.ts';

export interface PrivateOutput {
  readonly file: FileHandle;
  /** Whether it is a file, and may be removed when it does not get its contents. */
  readonly isFile: boolean;
}

/** @throws CausewayError FILE_ACCESS */
export async function openPrivateOutput(path: string): Promise<PrivateOutput> {
  const { O_CREAT, O_NOFOLLOW, O_WRONLY } = constants;
  let file: FileHandle | undefined;
  try {
    file = await open(path, O_WRONLY | O_CREAT | O_NOFOLLOW, 0o600);
    const found = await file.stat();
    const isFile = found.isFile();
    if (isFile) {
      checkOurs(found);
      await file.chmod(0o600);
      await file.truncate();
    }
    return { file, isFile };
  } catch (error) {
    await file?.close();
    const { code, message } = error as NodeJS.ErrnoException;
    const reason = code === 'ELOOP' ? 'it is a link' : message;
    throw new CausewayError('FILE_ACCESS', `${path} cannot be written: ${reason}.`, {
      cause: error,
    });
  }
}

/**
 * Its owner reads a file whatever its mode, and whoever opened it before still does. A second name may be
 * that of a file which is not meant at all.
 */
function checkOurs({ uid, nlink }: Stats): void {
  if (uid !== process.geteuid?.()) {
    throw new Error('it belongs to another user: remove it first, or give another name');
  }
  if (nlink > 1) throw new Error('it has another name as well (a hard link): give another name');
}
