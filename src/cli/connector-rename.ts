/** `connector rename CONNECTOR NAME`: its id, token, keys and routes stay. */
import type { Command } from 'commander';
import { print } from './output.ts';
import { type EdgeOptions, edgeCommand } from './where.ts';

export function renameCommand(): Command {
  return edgeCommand('rename')
    .description('give a connector another name')
    .argument('<connector>', 'name or id')
    .argument('<new-name>', 'a DNS label')
    .action(run);
}

async function run(reference: string, name: string, options: EdgeOptions): Promise<void> {
  const { openEdge } = await import('./edge-request.ts');
  const { connectorViewSchema } = await import('../control/operator-api.ts');
  const path = `/v1/connectors/${encodeURIComponent(reference)}`;
  const connector = await openEdge(options).call('PATCH', path, connectorViewSchema, { name });
  print(options, connector, () => `${reference} is called ${connector.name} now.\n`);
}
