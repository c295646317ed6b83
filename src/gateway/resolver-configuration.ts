/** `DNS =` of a configuration file, handed to resolvconf(8) as wg-quick does, and taken back. */
import { existsSync, lstatSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CausewayError } from '../errors.ts';
import { runCommand, tryCommand } from '../tun/command.ts';

const DIRECTORIES = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];
const INTERFACE_ORDER = '/etc/resolvconf/interface-order';

/** @throws CausewayError COMMAND_MISSING if there is no resolvconf */
export function checkResolvconf(): void {
  if (findResolvconf() !== undefined) return;
  throw new CausewayError(
    'COMMAND_MISSING',
    'The file has a DNS line, but there is no resolvconf here: install it, on Debian with `apt install openresolv`, or remove the line.',
  );
}

/** @throws CausewayError COMMAND_MISSING, COMMAND_FAILED */
export async function setResolver(
  interfaceName: string,
  servers: readonly string[],
  search: readonly string[],
): Promise<void> {
  const lines = servers.map((server) => `nameserver ${server}\n`);
  if (search.length > 0) lines.push(`search ${search.join(' ')}\n`);
  const args = ['-a', recordName(interfaceName), '-m', '0', '-x'];
  await runCommand('resolvconf', args, { input: lines.join('') });
}

/** Quiet if there is nothing to take back. */
export async function unsetResolver(interfaceName: string): Promise<void> {
  if (findResolvconf() === undefined) return;
  await tryCommand('resolvconf', ['-d', recordName(interfaceName), '-f']);
}

function findResolvconf(): string | undefined {
  const path = [...(process.env.PATH ?? '').split(':'), ...DIRECTORIES];
  return path.map((folder) => join(folder, 'resolvconf')).find((file) => existsSync(file));
}

/** Debian's own resolvconf orders by name: a prefix from its list puts the tunnel first. */
function recordName(interfaceName: string): string {
  const file = findResolvconf();
  if (file === undefined || lstatSync(file).isSymbolicLink() || !existsSync(INTERFACE_ORDER)) {
    return interfaceName;
  }
  const order = readFileSync(INTERFACE_ORDER, 'utf8');
  const prefix = /^([A-Za-z0-9-]+)\*$/m.exec(order)?.[1];
  return prefix === undefined ? interfaceName : `${prefix}.${interfaceName}`;
}
