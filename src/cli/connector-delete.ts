/** `connector delete CONNECTOR`: with its routes and replicas; hosts that run it are cut off at once. */
import type { Command } from 'commander';
import { print } from './output.ts';
import { type EdgeOptions, edgeCommand } from './where.ts';

interface Options extends EdgeOptions {
  readonly replica?: string;
}

export function deleteCommand(): Command {
  return edgeCommand('delete')
    .description('delete a connector with its routes, and cut off the hosts that run it')
    .argument('<connector>', 'name or id')
    .option('--replica <id>', 'only this one of its hosts; `connector show` lists them')
    .action(run);
}

async function run(reference: string, options: Options): Promise<void> {
  const { openEdge } = await import('./edge-request.ts');
  const connector = `/v1/connectors/${encodeURIComponent(reference)}`;
  const { replica } = options;
  const path =
    replica === undefined ? connector : `${connector}/replicas/${encodeURIComponent(replica)}`;
  await openEdge(options).send('DELETE', path);
  const what = replica === undefined ? reference : `Replica ${replica} of ${reference}`;
  print(options, { deleted: replica ?? reference }, () => `${what} is deleted.\n`);
}
