/**
 * The userspace WireGuard programs that the lab can run: ours, and the stock one it is measured and
 * tested against. Both are started the same way, because ours is a drop-in for the other.
 */
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

export interface Implementation {
  readonly name: string;
  /** The program, without the interface name. */
  readonly command: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Options between the program and the interface name. */
  readonly options: readonly string[];
}

const ROOT = join(import.meta.dirname, '..');

/** Where the set-up puts programs that it unpacks and does not install. */
const FETCHED = join(ROOT, 'node_modules/.cache/causeway');

function inPath(program: string): string | undefined {
  const folders = (process.env.PATH ?? '').split(delimiter);
  return folders.map((folder) => join(folder, program)).find((path) => existsSync(path));
}

/** Path of a program: what the set-up fetched, else the one in PATH. */
export function programPath(program: string): string | undefined {
  const fetched = join(FETCHED, program);
  return existsSync(fetched) ? fetched : inPath(program);
}

/** Ours. `CONNECTOR_WG` names another program, to try a harness on a known good one. */
export function ours(...options: string[]): Implementation {
  const command = process.env.CONNECTOR_WG ?? join(ROOT, 'bin/connector-wg');
  const stock = command.endsWith('wireguard-go');
  return { name: 'connector-wg', command, environment: {}, options: stock ? [] : options };
}

/** wireguard-go: WIREGUARD_GO, else what the set-up fetched, else the one in PATH. */
export function stock(): Implementation | undefined {
  const command = process.env.WIREGUARD_GO || programPath('wireguard-go');
  if (!command) return undefined;
  // It thinks it is a mistake to run it where the kernel has WireGuard, and waits to say so.
  const environment = { WG_I_PREFER_BUGGY_USERSPACE_TO_POLISHED_KMOD: '1' };
  return { name: 'wireguard-go', command, environment, options: [] };
}

/** Why the lab cannot run here; undefined if it can. */
export function missing(...programs: string[]): string | undefined {
  if (process.getuid?.() !== 0) return 'needs root';
  if (!existsSync('/dev/net/tun')) return 'needs /dev/net/tun';
  const absent = ['ip', ...programs].filter((program) => !programPath(program));
  return absent.length > 0 ? `needs ${absent.join(', ')}` : undefined;
}
