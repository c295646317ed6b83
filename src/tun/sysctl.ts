/** Kernel settings under /proc/sys, by their dotted names: looked at, set, and set back. */
import { readFile, writeFile } from 'node:fs/promises';
import { CausewayError } from '../errors.ts';

/** `net.ipv4.ip_forward` → /proc/sys/net/ipv4/ip_forward. No interface names in them: they may hold dots. */
function pathOf(name: string): string {
  return `/proc/sys/${name.replaceAll('.', '/')}`;
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
