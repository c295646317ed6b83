/**
 * Where a command's answer comes from: an edge by its URL, the edge on this host by its socket, or
 * the gateway on this host. `--edge` and CAUSEWAY_EDGE say which edge; without them it is the one on
 * this host. `routes ls` is the one command that both an edge and a gateway answer.
 */
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Command } from 'commander';
import { DEFAULT_DATA_DIRECTORY, SOCKET_NAME } from '../edge/paths.ts';
import { CausewayError } from '../errors.ts';

export type EdgeAddress =
  | {
      /** `https://HOST[:PORT]` */
      readonly url: string;
      /** SHA-256 of the key in its certificate, hexadecimal; null = an authority vouches. */
      readonly tlsPin: string | null;
      /** Bearer token. */
      readonly token: string | undefined;
    }
  | { readonly socketPath: string };

export interface EdgeOptions {
  /** URL, or data directory of an edge on this host. */
  readonly edge?: string;
  readonly json?: true;
}

/** A command that asks an edge: the options that all of them have. */
export function edgeCommand(name: string): Command {
  return new Command(name)
    .option('--edge <url>', 'https://HOST:PORT, or data directory of an edge on this host')
    .option('--json', 'print JSON');
}

/**
 * @throws CausewayError USAGE
 */
export function edgeAddress(
  options: EdgeOptions,
  environment: NodeJS.ProcessEnv = process.env,
): EdgeAddress {
  const where = options.edge ?? (environment.CAUSEWAY_EDGE || DEFAULT_DATA_DIRECTORY);
  if (!/^[a-z]+:\/\//i.test(where)) {
    const path = resolve(where);
    if (!where.includes('/') && !existsSync(path)) {
      const text = `"${where}" is no directory here: give the address of an edge elsewhere as https://${where}, with its port.`;
      throw new CausewayError('USAGE', text);
    }
    return { socketPath: path.endsWith('.sock') ? path : join(path, SOCKET_NAME) };
  }
  if (!/^https:\/\/[^\s/?#@]+\/?$/i.test(where) || !URL.canParse(where)) {
    throw new CausewayError('USAGE', `"${where}" is no https://HOST[:PORT]: give --edge another.`);
  }
  const pin = environment.CAUSEWAY_PIN?.toLowerCase();
  if (pin && !/^[0-9a-f]{64}$/.test(pin)) {
    const text =
      'CAUSEWAY_PIN is not 64 hexadecimal digits: `connector edge status` shows the pin.';
    throw new CausewayError('USAGE', text);
  }
  return {
    url: where.replace(/\/$/, ''),
    tlsPin: pin || null,
    token: environment.CAUSEWAY_TOKEN || undefined,
  };
}

/**
 * Whether `routes ls` asks an edge: one that was named, or one that has its socket here. Otherwise
 * the gateway on this host shows the table in force.
 */
export function asksEdge(
  options: EdgeOptions,
  environment: NodeJS.ProcessEnv = process.env,
): boolean {
  if (options.edge !== undefined || environment.CAUSEWAY_EDGE) return true;
  return existsSync(join(DEFAULT_DATA_DIRECTORY, SOCKET_NAME));
}
