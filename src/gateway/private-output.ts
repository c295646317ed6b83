/**
 * A file for somebody's eyes only that a command writes where it is told: never to where a link leads,
 * and readable by nobody else, whoever made the file. Devices and pipes stay as they are.
 */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { CausewayError } from '../errors.ts';

export interface PrivateOutput {
  readonly file: FileHandle;
  /** Whether it is a file, and may be removed when it does not get its contents. */
  readonly isFile: boolean;
}

/** @throws CausewayError FILE_ACCESS */
export async function openPrivateOutput(path: string): Promise<PrivateOutput> {
  const { O_CREAT, O_NOFOLLOW, O_TRUNC, O_WRONLY } = constants;
  let file: FileHandle | undefined;
  try {
    file = await open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0o600);
    const isFile = (await file.stat()).isFile();
    if (isFile) await file.chmod(0o600);
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
