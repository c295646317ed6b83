/** `connector routes add CIDR --connector NAME`: what an operator adds needs no approval. */
import type { Command } from 'commander';
import { numberFrom } from './number-argument.ts';
import { print } from './output.ts';
import { formatRoutes } from './routes-ls.ts';
import { type EdgeOptions, edgeCommand } from './where.ts';

interface Options extends EdgeOptions {
  readonly connector: string;
  readonly vnet?: string;
  readonly priority?: number;
  readonly comment?: string;
  readonly allowDefault?: true;
}

export function routesAddCommand(): Command {
  return edgeCommand('add')
    .description('send traffic for a prefix to a connector')
    .argument('<cidr>', 'as 10.1.0.0/16 or 2001:db8::/32')
    .requiredOption('--connector <connector>', 'name or id')
    .option('--vnet <vnet>', 'the virtual network, to be sure: must be the one of the connector')
    .option('--priority <number>', 'the lower is preferred (default: 100)', numberFrom(0, 65_535))
    .option('--comment <text>', 'a line for people')
    .option('--allow-default', 'the prefix may be 0.0.0.0/0 or ::/0')
    .action(run);
}

async function run(prefix: string, options: Options): Promise<void> {
  const { openEdge } = await import('./edge-request.ts');
  const { routeViewSchema } = await import('../control/operator-api.ts');
  const route = await openEdge(options).call('POST', '/v1/routes', routeViewSchema, {
    prefix,
    connector: options.connector,
    vnet: options.vnet,
    priority: options.priority,
    comment: options.comment,
    allowDefault: options.allowDefault,
  });
  print(options, route, () => formatRoutes([route]));
}
