/**
 * Where a running tunnel keeps its socket and its notes: a directory below /run/causeway for every
 * network namespace, because names of interfaces, and the routes that the notes speak of, belong to
 * a namespace. The directories are root's alone.
 */
import { readdirSync, readlinkSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';

export const RUNTIME_ROOT = '/run/causeway';
const NAMESPACE = /^netns-[0-9]+$/;

/** The directory of the network namespace that this process is in. */
export function runtimeDirectory(): string {
  // `net:[4026531840]`
  const inode = /\d+/.exec(readlinkSync('/proc/self/ns/net'))![0];
  return join(RUNTIME_ROOT, `netns-${inode}`);
}

/** Directories of all namespaces, our own one first. Throws what `readdir` throws but ENOENT. */
export function runtimeDirectories(): string[] {
  const own = runtimeDirectory();
  return [own, ...all().filter((directory) => directory !== own)];
}

/** Removes the directory of a namespace when its last file is gone. */
export function removeRuntimeDirectory(directory: string): void {
  try {
    rmdirSync(directory);
  } catch {
    // Another tunnel is still in it.
  }
}

function all(): string[] {
  try {
    return readdirSync(RUNTIME_ROOT)
      .filter((name) => NAMESPACE.test(name))
      .map((name) => join(RUNTIME_ROOT, name));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
