/** Kernel settings under /proc/sys, by their dotted names: looked at, set, and set back. */
import { readFile, writeFile } from 'node:fs/promises';
import { CausewayError } from '../errors.ts';

/** What switches each family's forwarding. */
export const FORWARDING = { 4: 'net/ipv4/ip_forward', 6: 'net/ipv6/conf/all/forwarding' } as const;

/**
 * `net.ipv4.ip_forward`, or as sysctl(8) takes it where a name in it holds dots:
 * `net/ipv4/conf/eth0.100/rp_filter`.
 */
function pathOf(name: string): string {
  return `/proc/sys/${name.includes('/') ? name : name.replaceAll('.', '/')}`;
}

/** Whether it names a setting of the network and nothing outside of them. */
export function isNetworkSetting(name: string): boolean {
  return /^net(\/[^/\0]+)+$/.test(name)
    ? !name.split('/').some((part) => part === '.' || part === '..')
    : /^net(\.\w[\w-]*)+$/.test(name);
}

/** The value; undefined where the kernel has no such setting (IPv6 switched off, for example). */
export async function readSysctl(name: string): Promise<string | undefined> {
  try {
    return (await readFile(pathOf(name), 'utf8')).trim();
  } catch {
    return undefined;
  }
}

/**
 * Sets a value if it is another.
 *
 * @returns the value to set back; undefined if nothing was changed
 * @throws CausewayError PERMISSION
 */
export async function setSysctl(name: string, value: string): Promise<string | undefined> {
  const before = await readSysctl(name);
  if (before === undefined || before === value) return undefined;
  try {
    await writeFile(pathOf(name), value);
  } catch (error) {
    throw new CausewayError('PERMISSION', refusal(name, value, error), { cause: error });
  }
  return before;
}

/** Why a setting could not be set, and what to do about it. */
function refusal(name: string, value: string, error: unknown): string {
  // Slashes say that a name in it holds dots; most do not.
  const shown = name.includes('.') ? name : name.replaceAll('/', '.');
  if ((error as NodeJS.ErrnoException).code === 'EROFS') {
    return `The kernel setting ${shown} is to be ${value}, and /proc/sys is read-only here, as in a container: start that with --sysctl ${shown}=${value}, or where it has the host's network set it on the host (sysctl -w ${shown}=${value}).`;
  }
  return `The kernel setting ${shown} could not be set to ${value}: run as root, or set it yourself (sysctl -w ${shown}=${value}).`;
}
