/** `connector routes approve CIDR|ID`, or all of a connector's that wait. */
import type { Command } from 'commander';
import type { RouteView } from '../control/operator-api.ts';
import { CausewayError } from '../errors.ts';
import { print } from './output.ts';
import type { RouteSelection } from './route-selection.ts';
import { formatRoutes } from './routes-ls.ts';
import { type EdgeOptions, edgeCommand } from './where.ts';

type Options = EdgeOptions & RouteSelection & { readonly all?: true };

export function routesApproveCommand(): Command {
  return edgeCommand('approve')
    .description('let a prefix that a gateway advertises take effect')
    .argument('[route]', 'its prefix, or its id')
    .option('--connector <connector>', 'of this connector')
    .option('--vnet <vnet>', 'in this virtual network')
    .option('--all', 'all that wait, of the connector or virtual network given')
    .action(run);
}

async function run(reference: string | undefined, options: Options): Promise<void> {
  const { openEdge } = await import('./edge-request.ts');
  const { routeListSchema, routeViewSchema } = await import('../control/operator-api.ts');
  const { vnet, connector } = options;
  const selection = {
    ...(vnet !== undefined && { vnet }),
    ...(connector !== undefined && { connector }),
  };
  const edge = openEdge(options);
  let routes: { readonly id: string }[];
  if (reference !== undefined) {
    const { selectRoute } = await import('./route-selection.ts');
    routes = [await selectRoute(edge, reference, selection)];
  } else if (options.all && (vnet !== undefined || connector !== undefined)) {
    const query = { ...selection, state: 'pending' };
    routes = (await edge.get('/v1/routes', routeListSchema, query)).routes;
  } else {
    throw new CausewayError(
      'USAGE',
      'Say which: a prefix or an id, or --all with --connector or --vnet.',
    );
  }
  const approved: RouteView[] = [];
  for (const { id } of routes) {
    approved.push(await edge.call('POST', `/v1/routes/${id}/approve`, routeViewSchema));
  }
  print(options, approved, () =>
    approved.length === 0 ? 'Nothing waits for approval.\n' : formatRoutes(approved),
  );
}
