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
    throw new CausewayError(
      'PERMISSION',
      `The kernel setting ${name} could not be set to ${value}: run as root, or set it yourself.`,
      { cause: error },
    );
  }
  return before;
}
