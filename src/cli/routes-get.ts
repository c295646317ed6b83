/** `connector routes get IP`: which connector has it, by which prefix, and does it serve. */
import type { Command } from 'commander';
import type { GetAnswer } from '../control/operator-api.ts';
import { print } from './output.ts';
import { formatFields } from './table.ts';
import { type EdgeOptions, edgeCommand } from './where.ts';

interface Options extends EdgeOptions {
  readonly vnet?: string;
}

export function routesGetCommand(): Command {
  return edgeCommand('get')
    .description('which connector an address is reached through')
    .argument('<ip>', 'IPv4 or IPv6 address')
    .option('--vnet <vnet>', 'only in this virtual network')
    .action(run);
}

async function run(address: string, options: Options): Promise<void> {
  const { openEdge } = await import('./edge-request.ts');
  const { getAnswerSchema } = await import('../control/operator-api.ts');
  const query = { address, vnet: options.vnet };
  const answer = await openEdge(options).get('/v1/route-questions/get', getAnswerSchema, query);
  print(options, answer, () => formatGetAnswer(answer));
}

export function formatGetAnswer({ address, answers }: GetAnswer): string {
  if (answers.length === 0) return `No route leads to ${address}.\n`;
  const parts = answers.map(({ vnet, connector, prefix, route, serving, path }) => {
    const by = path.edges.length > 0 ? `relayed by ${path.edges.join(' or ')}` : 'none';
    return formatFields([
      ['vnet', vnet.name],
      ['connector', connector.name],
      ['by prefix', route === null ? `${prefix} (its mesh IP)` : prefix],
      ['carried by', path.hostname ?? '(no host has joined)'],
      ['path', by],
      ['serving', serving ? 'yes' : 'no: the connector is not connected'],
    ]);
  });
  return parts.join('\n');
}
