/** `connector ls`: the edge's connectors, their health and what they carry. */
import type { Command } from 'commander';
import type { ConnectorView } from '../control/operator-api.ts';
import { print } from './output.ts';
import { formatTable } from './table.ts';
import { formatDuration } from './tunnel-status.ts';
import { type EdgeOptions, edgeCommand } from './where.ts';

interface Options extends EdgeOptions {
  readonly vnet?: string;
}

export function lsCommand(): Command {
  return edgeCommand('ls')
    .description('list connectors with their health, mesh IPs, replicas and routes')
    .option('--vnet <vnet>', 'only of this virtual network')
    .action(run);
}

async function run(options: Options): Promise<void> {
  const { openEdge } = await import('./edge-request.ts');
  const { connectorListSchema } = await import('../control/operator-api.ts');
  const query = { vnet: options.vnet };
  const answer = await openEdge(options).get('/v1/connectors', connectorListSchema, query);
  print(options, answer.connectors, () => formatConnectors(answer.connectors, Date.now()));
}

/** @param now milliseconds since the epoch */
export function formatConnectors(connectors: readonly ConnectorView[], now: number): string {
  if (connectors.length === 0) {
    return 'No connector is registered: `connector create NAME` does it.\n';
  }
  const rows = connectors.map(({ name, vnet, health, mesh, replicas, routes }) => [
    name,
    vnet.name,
    health.state,
    health.since === null ? '-' : formatDuration(now - Date.parse(health.since)),
    mesh.ipv4,
    String(replicas.length),
    routes.pending > 0 ? `${routes.total} (${routes.pending} pending)` : String(routes.total),
  ]);
  return formatTable(['NAME', 'VNET', 'STATE', 'FOR', 'MESH IP', 'REPLICAS', 'ROUTES'], rows);
}
