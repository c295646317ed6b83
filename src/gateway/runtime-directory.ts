/**
 * Where a running tunnel keeps its socket and its notes: /run/causeway, and below it one directory
 * for every other network namespace, because names of interfaces, and the routes that the notes
 * speak of, belong to a namespace. The directories are root's alone.
 */
import { readdirSync, readlinkSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';

export const RUNTIME_ROOT = '/run/causeway';
const NAMESPACE = /^netns-[0-9]+$/;

/** The directory of the network namespace that this process is in. */
export function runtimeDirectory(): string {
  const own = namespaceOf('self');
  // PID 1 lives in the namespace of the host, or of the container.
  const main = namespaceOf('1');
  if (own === undefined || main === undefined || own === main) return RUNTIME_ROOT;
  return join(RUNTIME_ROOT, `netns-${own}`);
}

/** Directories of all namespaces, our own one first. Throws what `readdir` throws but ENOENT. */
export function runtimeDirectories(): string[] {
  const own = runtimeDirectory();
  return [own, ...[RUNTIME_ROOT, ...others()].filter((directory) => directory !== own)];
}

/** Removes the directory of a namespace when its last file is gone. */
export function removeRuntimeDirectory(directory: string): void {
  if (directory === RUNTIME_ROOT) return;
  try {
    rmdirSync(directory);
  } catch {
    // Another tunnel is still in it.
  }
}

function others(): string[] {
  try {
    return readdirSync(RUNTIME_ROOT)
      .filter((name) => NAMESPACE.test(name))
      .map((name) => join(RUNTIME_ROOT, name));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/** `net:[4026531840]` → `4026531840` */
function namespaceOf(pid: string): string | undefined {
  try {
    return /\d+/.exec(readlinkSync(`/proc/${pid}/ns/net`))?.[0];
  } catch {
    return undefined;
  }
}
