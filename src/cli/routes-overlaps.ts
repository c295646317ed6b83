/** `connector routes overlaps`: prefixes that have addresses in common, and where. */
import type { Command } from 'commander';
import type { OverlapsAnswer } from '../control/operator-api.ts';
import { print } from './output.ts';
import { formatTable } from './table.ts';
import { type EdgeOptions, edgeCommand } from './where.ts';

interface Options extends EdgeOptions {
  readonly vnet?: string;
}

export function routesOverlapsCommand(): Command {
  return edgeCommand('overlaps')
    .description('list all prefixes that overlap, with their virtual networks')
    .option('--vnet <vnet>', 'only inside this virtual network')
    .action(run);
}

async function run(options: Options): Promise<void> {
  const { openEdge } = await import('./edge-request.ts');
  const { overlapsAnswerSchema } = await import('../control/operator-api.ts');
  const query = { vnet: options.vnet };
  const path = '/v1/route-questions/overlaps';
  const answer = await openEdge(options).get(path, overlapsAnswerSchema, query);
  print(options, answer, () => formatOverlaps(answer));
}

export function formatOverlaps({ overlaps, truncated }: OverlapsAnswer): string {
  if (overlaps.length === 0) return 'No routes overlap.\n';
  const rows = overlaps.map(({ outer, inner, sameVnet }) => [
    outer.prefix,
    `${outer.connector.name} in ${outer.vnet.name}`,
    inner.prefix,
    `${inner.connector.name} in ${inner.vnet.name}`,
    sameVnet ? '' : 'apart',
  ]);
  const table = formatTable(['PREFIX', 'OF', 'CONTAINS', 'OF', ''], rows);
  return truncated ? `${table}There are more: ask for one virtual network with --vnet.\n` : table;
}
