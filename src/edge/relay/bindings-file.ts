/**
 * Keeps the relay's bindings over a restart of the edge: a small private file, replaced in one step.
 *
 * It is JSON with the time of writing, since a binding is worth something only while it is recent: a
 * NAT may give a mapping that was silent for minutes to somebody else.
 */
import type { Logger } from 'pino';
import { z } from 'zod';
import { readPrivateFile, writePrivateFile } from '../../control/node/private-file.ts';

/** Milliseconds after which what a file holds is worth nothing. */
export const BINDINGS_KEPT = 180_000;
/** Bytes: a table full of bindings in base64. */
const LARGEST = 16 << 20;

const schema = z.strictObject({
  version: z.literal(1),
  /** Milliseconds since the Unix epoch. */
  written: z.number(),
  bindings: z.base64().max(LARGEST),
});

export class BindingsFile {
  readonly #path: string;
  readonly #log: Logger;
  readonly #replace: typeof writePrivateFile;
  /** What is to be written when the write that is under way is done. */
  #next: { readonly bindings: Uint8Array; readonly unix: number } | undefined;
  #writing: Promise<void> | undefined;

  constructor(path: string, log: Logger, replace = writePrivateFile) {
    this.#path = path;
    this.#log = log;
    this.#replace = replace;
  }

  /** What it holds; undefined if there is none, it is too old, or it cannot be used, which is logged. */
  async read(unix: number): Promise<Uint8Array | undefined> {
    try {
      const text = await readPrivateFile(this.#path);
      if (text === undefined) return undefined;
      const { written, bindings } = schema.parse(JSON.parse(text));
      if (Math.abs(unix - written) > BINDINGS_KEPT) return undefined;
      return new Uint8Array(Buffer.from(bindings, 'base64'));
    } catch (error) {
      const file = this.#path;
      this.#log.warn({ file, error: String(error) }, 'bindings could not be read, ignored');
      return undefined;
    }
  }

  /** Has the newest bindings written, after those that are being written; what fails is logged. */
  write(bindings: Uint8Array, unix: number): void {
    this.#next = { bindings, unix };
    this.#writing ??= this.#write();
  }

  /** Resolves when nothing is left to be written. */
  settled(): Promise<void> {
    return this.#writing ?? Promise.resolve();
  }

  async #write(): Promise<void> {
    for (let next = this.#next; next !== undefined; next = this.#next) {
      this.#next = undefined;
      const bindings = Buffer.from(next.bindings).toString('base64');
      try {
        const text = JSON.stringify({ version: 1, written: next.unix, bindings });
        await this.#replace(this.#path, text);
      } catch (error) {
        const file = this.#path;
        this.#log.error({ file, error: String(error) }, 'bindings could not be written');
      }
    }
    this.#writing = undefined;
  }
}
