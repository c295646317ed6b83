/** Kernel settings as commands that set them, and set them back. Pure. */
import type { Fix } from './finding.ts';

/**
 * The name for sysctl(8), which takes dots for slashes and slashes for dots: an interface may be
 * called `eth0.100`.
 *
 * @param path below /proc/sys
 */
export function settingName(path: string): string {
  return path.replaceAll(/[./]/g, (character) => (character === '.' ? '/' : '.'));
}

export function settingFix(path: string, value: string, before: string): Fix {
  const name = settingName(path);
  return {
    command: ['sysctl', '-w', `${name}=${value}`],
    undo: ['sysctl', '-w', `${name}=${before}`],
  };
}
