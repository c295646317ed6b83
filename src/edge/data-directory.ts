/**
 * The edge's data directory: who it is, its keys and the registry. Nothing in it is readable by
 * others, and one process at a time uses it.
 *
 *   edge.json          settings (settings.ts)          edge.key     WireGuard private key, base64
 *   tls.crt, tls.key   certificate of our own          registry.db  the registry
 *   next.crt, next.key the one that is announced (next-certificate.ts)
 *   bindings           of the relay                    audit.jsonl* the audit log
 *   edge.sock          local API socket                lock         held while an edge runs
 */
import { randomBytes } from 'node:crypto';
import { join, resolve } from 'node:path';
import {
  makePrivateDirectory,
  readPrivateFile,
  writePrivateFile,
} from '../control/node/private-file.ts';
import { CausewayError } from '../errors.ts';
import {
  clamp,
  KEY_SIZE,
  keyFromBase64,
  keyToBase64,
  type PrivateKey,
  privateKey,
} from '../keys.ts';
import { type DirectoryLock, lockDirectory } from './directory-lock.ts';

const KEY_FILE = 'edge.key';
/** A path to a UNIX socket is at most 107 bytes. */
const MAX_PATH_LENGTH = 96;

export interface DataDirectory {
  /** Absolute. */
  readonly path: string;
  /** Path of a file in it. */
  file(name: string): string;
  /** Gives the lock back. Harmless when called again. */
  close(): void;
}

/**
 * Makes the directory if need be and locks it.
 *
 * @throws CausewayError DIRECTORY_IN_USE, FILE_ACCESS, CONFIG_VALUE
 */
export async function openDataDirectory(given: string, patience?: number): Promise<DataDirectory> {
  const path = resolve(given);
  if (Buffer.byteLength(path) > MAX_PATH_LENGTH) {
    const message = `The data directory ${path} has a path longer than ${MAX_PATH_LENGTH} bytes: take a shorter one.`;
    throw new CausewayError('CONFIG_VALUE', message);
  }
  await makePrivateDirectory(path);
  const lock: DirectoryLock = lockDirectory(path, patience);
  return { path, file: (name) => join(path, name), close: () => lock.release() };
}

/**
 * The edge's WireGuard key, made on the first call.
 *
 * @throws CausewayError FILE_ACCESS
 */
export async function loadEdgeKey(directory: DataDirectory): Promise<PrivateKey> {
  const path = directory.file(KEY_FILE);
  const text = await readPrivateFile(path);
  if (text !== undefined) {
    const bytes = keyFromBase64(text.trim());
    if (bytes !== undefined) return privateKey(bytes);
    throw new CausewayError(
      'FILE_ACCESS',
      `${path} is no key: restore a copy of it. A new key would need new join tokens.`,
    );
  }
  const bytes = new Uint8Array(randomBytes(KEY_SIZE));
  clamp(bytes);
  await writePrivateFile(path, `${keyToBase64(bytes)}\n`);
  return privateKey(bytes);
}
