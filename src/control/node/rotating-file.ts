/**
 * A file of lines that is only ever appended to, mode 0600. One that is full becomes `.1`, that one
 * `.2`, and the last is removed. It is opened for each batch of lines, so that it may be moved away at
 * any time; a batch is in the file as a whole or not at all, so no half a line is left for the next to
 * be appended to.
 */
import { appendFile, rename, stat, truncate } from 'node:fs/promises';

export interface RotatingFileOptions {
  /** Of one file, in bytes; a batch that is larger has a file to itself. */
  readonly maxSize: number;
  /** Full ones that are kept. */
  readonly maxFiles: number;
  /** Told why a full file could not be moved aside: it grows on. */
  readonly onStuck: (error: unknown) => void;
}

export class RotatingFile {
  readonly path: string;
  readonly #options: RotatingFileOptions;

  constructor(path: string, options: RotatingFileOptions) {
    this.path = path;
    this.#options = options;
  }

  /**
   * Not to be called again before it has resolved.
   *
   * @throws what the system said; the file is as it was then
   */
  async append(text: string): Promise<void> {
    let size = await sizeOf(this.path);
    if (size > 0 && size + Buffer.byteLength(text) > this.#options.maxSize) {
      size = await this.#rotate(size);
    }
    try {
      await appendFile(this.path, text, { mode: 0o600 });
    } catch (error) {
      await truncate(this.path, size).catch(() => {});
      throw error;
    }
  }

  /** Returns the size of the file to write to: 0, or as it was if it has to stay. */
  async #rotate(size: number): Promise<number> {
    const { maxFiles, onStuck } = this.#options;
    try {
      for (let i = maxFiles - 1; i > 0; i--) {
        await rename(`${this.path}.${i}`, `${this.path}.${i + 1}`).catch(ignoreMissing);
      }
      await rename(this.path, `${this.path}.1`);
      return 0;
    } catch (error) {
      onStuck(error);
      return size;
    }
  }
}

async function sizeOf(path: string): Promise<number> {
  return (await stat(path).catch(ignoreMissing))?.size ?? 0;
}

function ignoreMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error;
}
