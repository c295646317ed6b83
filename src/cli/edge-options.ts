/** What `connector edge init` and `connector edge run` are told alike. What is given is kept. */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { DEFAULT_DATA_DIRECTORY } from '../edge/paths.ts';
import type { SettingsChange } from '../edge/settings.ts';
import { CausewayError } from '../errors.ts';
import { numberFrom } from './number-argument.ts';
import { collect } from './output.ts';

export interface EdgeSettingsOptions {
  readonly data: string;
  readonly name?: string;
  readonly listen?: string;
  readonly relayPort?: number;
  readonly public?: readonly string[];
  readonly endpoint?: readonly string[];
  readonly url?: readonly string[];
  readonly certificate?: string;
  readonly key?: string;
  readonly selfSigned?: true;
  readonly meshRange?: string;
}

export function addEdgeSettings(command: Command): Command {
  return command
    .option('--data <directory>', 'data directory', DEFAULT_DATA_DIRECTORY)
    .option(
      '--public <host>',
      'name or address that gateways reach this host by; may be repeated',
      collect,
    )
    .option('--listen <host:port>', 'where the API listens (default: [::]:8443)')
    .option('--relay-port <port>', 'UDP port of the relay (default: 51820)', numberFrom(0, 65_535))
    .option('--endpoint <host:port>', 'the relay as seen from outside, if ports differ', collect)
    .option('--url <url>', 'the API as seen from outside, if ports differ', collect)
    .option('--certificate <file>', 'certificate in PEM with its chain (default: self-signed)')
    .option('--key <file>', 'its private key in PEM')
    .option('--self-signed', 'go back to the self-signed certificate')
    .option('--name <name>', 'of this edge (default: edge)')
    .option('--mesh-range <cidr>', 'for mesh IPs, first start only (default: 100.96.0.0/12)');
}

/** @throws CausewayError USAGE, CONFIG_VALUE */
export async function settingsChange(options: EdgeSettingsOptions): Promise<SettingsChange> {
  const { parseListen } = await import('../edge/settings.ts');
  const { certificate, key } = options;
  if ((certificate === undefined) !== (key === undefined)) {
    throw new CausewayError('USAGE', 'Give --certificate and --key together.');
  }
  // Kept, and read by later starts in other directories.
  const files =
    certificate && key ? { certificate: resolve(certificate), key: resolve(key) } : undefined;
  return {
    name: options.name,
    listen: options.listen === undefined ? undefined : parseListen(options.listen),
    relayPort: options.relayPort,
    public: options.public && [...options.public],
    endpoints: options.endpoint && [...options.endpoint],
    urls: options.url && [...options.url],
    certificate: options.selfSigned ? null : files,
    meshIpv4: options.meshRange,
  };
}
