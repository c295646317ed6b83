/** `connector routes ls` on a gateway: the table in force there. */
import type { MeshStatus, RouteInForce } from '../gateway/mesh/mesh-status.ts';
import { comparePrefixes, type Prefix, parsePrefix } from '../routing/prefix.ts';
import { formatTable } from './table.ts';
import { runningGateways } from './this-gateway.ts';

/** Prints the routes of the gateways on this host. */
export async function showGatewayRoutes(options: {
  readonly interface?: string;
  readonly json?: true;
}): Promise<void> {
  const gateways = await runningGateways(options.interface);
  if (options.json) {
    const routes = gateways.flatMap((gateway) =>
      gateway.routes.map((route) => ({ interface: gateway.interface, ...route })),
    );
    process.stdout.write(`${JSON.stringify(routes, null, 2)}\n`);
    return;
  }
  process.stdout.write(gateways.map(formatRoutes).join('\n'));
}

/** For people. */
export function formatRoutes({ routes, connector }: MeshStatus): string {
  if (routes.length === 0) return `Connector ${connector.name} has no routes, and no peer has.\n`;
  const row = ({ prefix, connector: name, priority, state, path }: RouteInForce): string[] => {
    return [prefix, name, String(priority), state, path];
  };
  return formatTable(
    ['PREFIX', 'CONNECTOR', 'PRIORITY', 'STATE', 'PATH'],
    inOrder(routes).map(row),
  );
}

/** Our own first, as they are told; the others by their addresses. */
function inOrder(routes: readonly RouteInForce[]): RouteInForce[] {
  const key = ({ prefix, state }: RouteInForce): Prefix | undefined =>
    state === 'ours' || state === 'pending' ? undefined : parsePrefix(prefix);
  return routes
    .map((route) => ({ route, prefix: key(route) }))
    .sort(({ prefix: a }, { prefix: b }) =>
      a === undefined || b === undefined
        ? Number(a !== undefined) - Number(b !== undefined)
        : comparePrefixes(a, b),
    )
    .map(({ route }) => route);
}
