/**
 * The state directory: whether it can be written, and what the files in it say. It is tried by
 * writing, because quotas, read-only mounts and full disks have nothing else in common.
 */
import { rm, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { CausewayError } from '../../errors.ts';
import { loadIdentity } from '../mesh/identity.ts';
import { forgetCommand } from '../mesh/settings.ts';
import { readState } from '../mesh/state-directory.ts';
import { type CheckName, type Finding, ok, problem, skipped, warning } from './finding.ts';

/** As much as a netmap of many peers may take, twice. */
const LEAST_FREE = 16 << 20;
/** Not even a file of a few lines is sure to fit. */
const LEAST_WRITE = 64 << 10;
const TRIAL = 'doctor.new';
const TRIAL_SIZE = 64 << 10;

/**
 * What a gateway that runs says of it: it writes there by itself, and is not asked to all the time.
 *
 * @param fault why it could not write the last time
 */
export async function checkSpace(path: string, fault: string | undefined): Promise<Finding> {
  if (fault !== undefined) return problem('state', unwritable(path, fault));
  const free = await freeBytes(path);
  if (free === undefined) return problem('state', unwritable(path, 'it is gone'));
  if (free < LEAST_WRITE) return problem('state', unwritable(path, 'the disk is full'));
  return free < LEAST_FREE ? sayScarce(path, free) : ok('state', `${path} has room.`);
}

/** @param path of a directory that a gateway uses, or will */
export async function checkStateDirectory(path: string): Promise<Finding> {
  const free = await freeBytes(path);
  if (free === undefined) {
    return skipped('state', `${path} is not there yet: \`connector up\` makes it.`);
  }
  const trial = join(path, TRIAL);
  try {
    await writeFile(trial, new Uint8Array(TRIAL_SIZE), { mode: 0o600, flush: true });
  } catch (error) {
    const { message, code } = error as NodeJS.ErrnoException;
    // What a gateway, which runs as root, could write is not known.
    if (code === 'EACCES' && process.geteuid?.() !== 0) {
      return skipped('state', `This user may not write to ${path}.`);
    }
    return problem('state', unwritable(path, message));
  } finally {
    await rm(trial, { force: true }).catch(() => {});
  }
  if (free < LEAST_FREE) return sayScarce(path, free);
  return ok('state', `${path} can be written.`);
}

function freeBytes(path: string): Promise<number | undefined> {
  return statfs(path).then(
    ({ bavail, bsize }) => bavail * bsize,
    () => undefined,
  );
}

function sayScarce(path: string, free: number): Finding {
  const text = `The disk of ${path} has ${Math.floor(free / 1_048_576)} MiB left: the next netmap may not fit, and the gateway would come up with an older one.`;
  return warning('state', text, `df ${path}`);
}

/** What does not get written there, and what that does. */
export function unwritable(path: string, why: string): string {
  return `${path} cannot be written (${why}): traffic flows, and what the edge sends is not kept for the next start. Make room, or see that it may be written.`;
}

export interface KnownIdentity {
  readonly name: string;
  readonly urls: readonly string[];
  readonly pins: readonly (string | null)[];
}

/** What this user may not see is not known to be wrong. */
export function unreadable(check: CheckName, error: unknown): Finding {
  const { code, message } = error as CausewayError;
  return code === 'PERMISSION' ? skipped(check, message) : problem(check, message);
}

/** Who this host is in the mesh, and what is wrong with that. */
export async function checkIdentity(
  path: string,
  interfaceName: string,
): Promise<{ readonly finding: Finding; readonly identity?: KnownIdentity }> {
  try {
    const identity = await loadIdentity({
      path,
      read: (name) => readState(path, name),
    });
    if (identity === undefined) {
      const text = `This host is in no mesh yet (${path} has no identity). \`connector create NAME\` on the edge prints a join token:`;
      return { finding: problem('identity', text, 'connector up --token TOKEN') };
    }
    const { name, replica, edge, gone } = identity;
    if (gone !== undefined) {
      const text = `Connector ${name} does not accept this host any more: ${gone}`;
      return { finding: problem('identity', text, forgetCommand(interfaceName, path)) };
    }
    const pins = edge.nextTlsPin === undefined ? [edge.tlsPin] : [edge.tlsPin, edge.nextTlsPin];
    return {
      finding: ok('identity', `Replica ${replica} of connector ${name}.`),
      identity: { name, urls: edge.urls, pins },
    };
  } catch (error) {
    return { finding: unreadable('identity', error) };
  }
}
