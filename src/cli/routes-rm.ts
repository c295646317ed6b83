/** `connector routes rm CIDR|ID`. */
import type { Command } from 'commander';
import { print } from './output.ts';
import type { RouteSelection } from './route-selection.ts';
import { type EdgeOptions, edgeCommand } from './where.ts';

type Options = EdgeOptions & RouteSelection;

export function routesRmCommand(): Command {
  return edgeCommand('rm')
    .description('remove a route; one that is advertised comes back, unapproved')
    .argument('<route>', 'its prefix, or its id')
    .option('--connector <connector>', 'of this connector')
    .option('--vnet <vnet>', 'in this virtual network')
    .action(run);
}

async function run(reference: string, options: Options): Promise<void> {
  const { openEdge } = await import('./edge-request.ts');
  const { selectRoute } = await import('./route-selection.ts');
  const edge = openEdge(options);
  const { vnet, connector } = options;
  const route = await selectRoute(edge, reference, {
    ...(vnet !== undefined && { vnet }),
    ...(connector !== undefined && { connector }),
  });
  await edge.send('DELETE', `/v1/routes/${route.id}`);
  print(
    options,
    { deleted: route },
    () => `${route.prefix} no longer goes to ${route.connector.name}.\n`,
  );
}
