/**
 * What a run of the lab owns, and how it is given back whatever happens: at the end, on a signal, or
 * by the next run when this one was killed. Everything is found by its name, which says whose it is:
 * `cw-PID-START-LABEL`, pid and start time of the owner.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';

const NAMESPACES = '/run/netns';
/** One folder for each namespace: its files, and what stands in for /run/wireguard in it. */
export const FOLDERS = '/run/causeway-lab';

/** Start time of a process in clock ticks since boot; undefined if there is none of that pid. */
function startTime(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined;
  }
}

export const OWNER = `cw-${process.pid}-${startTime(process.pid)}-`;

function names(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder).filter((name) => name.startsWith('cw-')) : [];
}

/** Ends what runs in a namespace of the lab and removes it with its folder. */
export function removeNamespace(name: string): void {
  const pids = spawnSync('ip', ['netns', 'pids', name], { encoding: 'utf8' }).stdout ?? '';
  for (const pid of pids.split(/\s+/).filter(Boolean)) {
    try {
      process.kill(Number(pid), 'SIGKILL');
    } catch {
      // It ended by itself in between.
    }
  }
  spawnSync('ip', ['netns', 'delete', name], { stdio: 'ignore' });
  const folder = join(FOLDERS, name);
  // A disk that a test gave to a program, and had no time to take away: it would keep the folder.
  for (const mount of mountsBelow(folder)) spawnSync('umount', ['-l', mount], { stdio: 'ignore' });
  rmSync(folder, { recursive: true, force: true });
}

/** The innermost first. */
function mountsBelow(folder: string): string[] {
  const points = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '');
  return points.filter((point) => point.startsWith(`${folder}/`)).reverse();
}

/** Removes everything whose owner is gone. */
export function reclaimLeftovers(): void {
  for (const name of new Set([...names(NAMESPACES), ...names(FOLDERS)])) {
    const [, pid, start] = name.split('-');
    if (startTime(Number(pid)) !== start) removeNamespace(name);
  }
}

/** Removes everything that this process made and still has. */
export function removeOwn(): void {
  for (const name of new Set([...names(NAMESPACES), ...names(FOLDERS)])) {
    if (name.startsWith(OWNER)) removeNamespace(name);
  }
}

let guarded = false;

/** From now on, neither an exit nor a signal leaves anything of ours behind. */
export function guardExit(): void {
  if (guarded) return;
  guarded = true;
  reclaimLeftovers();
  process.on('exit', removeOwn);
  for (const [signal, number] of [
    ['SIGINT', 2],
    ['SIGTERM', 15],
    ['SIGHUP', 1],
  ] as const) {
    process.once(signal, () => process.exit(128 + number));
  }
}
