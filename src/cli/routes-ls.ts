/**
 * `connector routes ls`: on an edge, the registry, with what is advertised, approved and serving. On
 * a gateway, the table in force there (gateway-routes.ts).
 */
import type { Command } from 'commander';
import { Option } from 'commander';
import { isDefaultRoute } from '../control/breakout.ts';
import type { RouteView } from '../control/operator-api.ts';
import { print } from './output.ts';
import { formatTable, WIDTH, wrap } from './table.ts';
import { asksEdge, type EdgeOptions, edgeCommand } from './where.ts';

interface Options extends EdgeOptions {
  readonly vnet?: string;
  readonly connector?: string;
  readonly subsetOf?: string;
  readonly supersetOf?: string;
  readonly state?: string;
  readonly interface?: string;
}

export function routesLsCommand(): Command {
  return edgeCommand('ls')
    .description('list routes: of the edge, or on a gateway those in force there')
    .option('--vnet <vnet>', 'only of this virtual network')
    .option('--connector <connector>', 'only of this connector')
    .option('--subset-of <cidr>', 'only inside this prefix')
    .option('--superset-of <cidr>', 'only those that contain this prefix')
    .addOption(
      new Option('--state <state>', 'only these').choices([
        'advertised',
        'pending',
        'approved',
        'serving',
      ]),
    )
    .option('--interface <name>', 'on a gateway: only of this interface')
    .action(run);
}

async function run(options: Options): Promise<void> {
  if (!asksEdge(options)) {
    const { showGatewayRoutes } = await import('./gateway-routes.ts');
    await showGatewayRoutes(options);
    return;
  }
  const { openEdge } = await import('./edge-request.ts');
  const { routeListSchema } = await import('../control/operator-api.ts');
  const { vnet, connector, subsetOf, supersetOf, state } = options;
  const query = { vnet, connector, subsetOf, supersetOf, state };
  const { routes } = await openEdge(options).get('/v1/routes', routeListSchema, query);
  print(options, routes, () => formatRoutes(routes));
}

export function formatRoutes(routes: readonly RouteView[]): string {
  if (routes.length === 0) return 'No routes.\n';
  const heads = ['PREFIX', 'VNET', 'CONNECTOR', 'PRIORITY', 'SOURCE', 'STATE', 'COMMENT'];
  const rows = routes.map((route) => [
    route.prefix,
    route.vnet.name,
    route.connector.name,
    String(route.priority),
    // An advertised one that nobody offers any more says so.
    route.source,
    route.state,
    route.comment,
  ]);
  return `${formatTable(heads, rows)}${formatBreakouts(routes)}`;
}

/** A sentence for each default route that is in force. */
function formatBreakouts(routes: readonly RouteView[]): string {
  const said = routes.filter(({ prefix, approved }) => approved && isDefaultRoute(prefix));
  if (said.length === 0) return '';
  const lines = said.map(({ prefix, connector, usedBy }) =>
    usedBy.length === 0
      ? `Nobody sends Internet traffic to ${connector.name} (${prefix}).`
      : `Internet traffic goes out by ${connector.name} (${prefix}) from ${usedBy.join(', ')}.`,
  );
  return `\n${lines.flatMap((line) => wrap(line, WIDTH)).join('\n')}\n`;
}
