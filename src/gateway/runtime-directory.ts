/**
 * Where a running tunnel keeps its socket and its notes: a directory below /run/causeway for every
 * network namespace, because names of interfaces, and the routes that the notes speak of, belong to
 * a namespace. The directories are root's alone.
 */
import { readdirSync, readlinkSync, rmdirSync, statSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { answers } from './unix-socket.ts';

export const RUNTIME_ROOT = '/run/causeway';
const NAMESPACE = /^netns-[0-9]+$/;
const SETTLED_MS = 60_000;

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

/**
 * Removes what killed daemons left in the directories of other namespaces, most of which are gone
 * with them: dead sockets, then the directory. One with notes of a set-up is kept, because those
 * are needed to take the set-up away.
 */
export async function sweepRuntimeDirectories(): Promise<void> {
  const own = runtimeDirectory();
  for (const directory of all()) {
    // One that was just made belongs to a daemon that is just starting.
    if (directory === own || Date.now() - statSync(directory).mtimeMs < SETTLED_MS) continue;
    const files = readdirSync(directory);
    if (!files.every((file) => file.endsWith('.sock'))) continue;
    for (const file of files) {
      const path = join(directory, file);
      if (!(await answers(path))) unlinkSync(path);
    }
    removeRuntimeDirectory(directory);
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
