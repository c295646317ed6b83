/** `connector show NAME`: one connector with its replicas and routes. */
import type { Command } from 'commander';
import type { ConnectorView, RouteView } from '../control/operator-api.ts';
import { print } from './output.ts';
import { formatRoutes } from './routes-ls.ts';
import { formatFields, formatTable } from './table.ts';
import { formatDuration } from './tunnel-status.ts';
import { type EdgeOptions, edgeCommand } from './where.ts';

export function showCommand(): Command {
  return edgeCommand('show')
    .description('show one connector: health and why, replicas, routes')
    .argument('<connector>', 'name or id')
    .action(run);
}

async function run(reference: string, options: EdgeOptions): Promise<void> {
  const { openEdge } = await import('./edge-request.ts');
  const { connectorViewSchema, routeListSchema } = await import('../control/operator-api.ts');
  const edge = openEdge(options);
  const path = `/v1/connectors/${encodeURIComponent(reference)}`;
  const connector = await edge.get(path, connectorViewSchema);
  const { routes } = await edge.get('/v1/routes', routeListSchema, { connector: connector.id });
  print(options, { ...connector, routes }, () => formatConnector(connector, routes, Date.now()));
}

/** @param now milliseconds since the epoch */
export function formatConnector(
  connector: ConnectorView,
  routes: readonly RouteView[],
  now: number,
): string {
  const { health, mesh } = connector;
  const since =
    health.since === null ? '' : ` for ${formatDuration(now - Date.parse(health.since))}`;
  const fields: [string, string][] = [
    ['name', connector.name],
    ['id', connector.id],
    ['vnet', connector.vnet.name],
    ['state', `${health.state}${since}: ${health.why}`],
    ['mesh IPs', `${mesh.ipv4}, ${mesh.ipv6}`],
    ['auto-approve', connector.autoApprove.join(', ') || '(nothing)'],
    ['created', connector.created],
  ];
  if (connector.comment !== '') fields.push(['comment', connector.comment]);
  const parts = [formatFields(fields)];
  if (connector.replicas.length === 0) {
    parts.push('No host has joined: `connector rotate-token` makes a new join token.\n');
  } else {
    const rows = connector.replicas.map((replica) => [
      replica.hostname,
      replica.version,
      replica.serving ? 'serving' : 'standby',
      replica.boundTo.join(', ') || 'none',
      replica.since === null ? '-' : roughly(now - Date.parse(replica.since)),
      replica.id,
    ]);
    const heads = ['HOST', 'VERSION', 'STATE', 'EDGES', 'FOR', 'REPLICA'];
    // The id is for `connector delete --replica`.
    parts.push(formatTable(heads, rows, { whole: [5] }));
  }
  parts.push(formatRoutes(routes));
  return parts.join('\n');
}

/** `329 d`: its first unit alone. */
function roughly(milliseconds: number): string {
  return formatDuration(milliseconds).split(' ').slice(0, 2).join(' ');
}
