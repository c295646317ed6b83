/**
 * Keeps the relay's bindings over a restart of the edge: a small file (0600), replaced in one step.
 *
 * It is JSON with the time of writing, since a binding is worth something only while it is recent: a
 * NAT may give a mapping that was silent for minutes to somebody else.
 */
import {
  closeSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { z } from 'zod';

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

/** What the file holds; undefined if there is none, or it is too old. Throws if it is no such file. */
export function readBindings(path: string, unix: number): Uint8Array | undefined {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  const { written, bindings } = schema.parse(JSON.parse(text));
  if (Math.abs(unix - written) > BINDINGS_KEPT) return undefined;
  return new Uint8Array(Buffer.from(bindings, 'base64'));
}

/** Whoever reads the file, also after a crash, sees the old contents or the new. */
export function writeBindings(path: string, bindings: Uint8Array, unix: number): void {
  const text = { version: 1, written: unix, bindings: Buffer.from(bindings).toString('base64') };
  const temporary = `${path}.new`;
  rmSync(temporary, { force: true });
  const file = openSync(temporary, 'wx', 0o600);
  try {
    writeSync(file, JSON.stringify(text));
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(temporary, path);
}
