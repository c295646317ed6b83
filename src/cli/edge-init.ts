/** `connector edge init`: makes the data directory, keys, certificate and registry, and starts nothing. */
import { Command } from 'commander';
import { addEdgeSettings, type EdgeSettingsOptions, settingsChange } from './edge-options.ts';
import { NO_PIN } from './edge-status.ts';
import { print } from './output.ts';
import { formatFields } from './table.ts';

interface Options extends EdgeSettingsOptions {
  readonly json?: true;
  readonly newRegistry?: true;
}

export function edgeInitCommand(): Command {
  return addEdgeSettings(new Command('init'))
    .description('make an edge: data directory, keys, certificate, registry; may be run again')
    .option('--new-registry', 'begin an empty one where an edge has lost its own: all join anew')
    .option('--json', 'print JSON')
    .action(run);
}

async function run(options: Options): Promise<void> {
  const { initializeEdge } = await import('../edge/initialize.ts');
  const { newRegistry = false } = options;
  const made = await initializeEdge(options.data, await settingsChange(options), { newRegistry });
  if (made.warning !== undefined) process.stderr.write(`connector: warning: ${made.warning}\n`);
  print(options, made, () =>
    formatFields([
      ['data directory', made.directory],
      ['public key', made.publicKey],
      ['relay', made.endpoints.join(', ')],
      ['API', made.urls.join(', ')],
      ['TLS pin', made.tlsPin ?? NO_PIN],
      ['mesh ranges', `${made.meshIpv4}, ${made.meshIpv6}`],
    ]),
  );
}
