/** `connector edge status`: what the edge is, who is connected, what the relay forwards and drops. */
import type { Command } from 'commander';
import type { EdgeStatus } from '../control/operator-api.ts';
import { count, print } from './output.ts';
import { formatFields, formatTable } from './table.ts';
import { formatBytes, formatDuration } from './tunnel-status.ts';
import { type EdgeOptions, edgeCommand } from './where.ts';

export function edgeStatusCommand(): Command {
  return edgeCommand('status')
    .description('show the edge: addresses, TLS pin, connectors by health, relay, drops')
    .action(run);
}

async function run(options: EdgeOptions): Promise<void> {
  const { openEdge } = await import('./edge-request.ts');
  const { edgeStatusSchema } = await import('../control/operator-api.ts');
  const status = await openEdge(options).get('/v1/status', edgeStatusSchema);
  print(options, status, () => formatEdgeStatus(status));
}

/** Instead of a pin. */
export const NO_PIN = '(none: an authority vouches for the certificate)';

export function formatEdgeStatus(status: EdgeStatus): string {
  const { edge, connectors, replicas, routes, relay } = status;
  const up = formatDuration(Date.parse(status.time) - Date.parse(status.started));
  const healths = Object.entries(connectors).map(([state, number]) => `${number} ${state}`);
  const pending = routes.pending > 0 ? `, ${routes.pending} pending` : '';
  const fields = formatFields([
    ['edge', `${edge.name}, version ${status.version}, up for ${up}`],
    ['API', edge.urls.join('\n')],
    ['TLS pin', edge.tlsPin ?? NO_PIN],
    ...(edge.nextTlsPin === undefined
      ? []
      : [['next TLS pin', edge.nextTlsPin ?? NO_PIN] as const]),
    ['relay', edge.endpoints.join('\n')],
    ['public key', edge.publicKey],
    ['connectors', healths.join(', ')],
    [
      'replicas',
      `${replicas.total}, ${replicas.bound} bound, ${count(replicas.streams, 'netmap stream')}`,
    ],
    ['routes', `${routes.total}${pending}`],
    ['relayed', `${count(relay.packets, 'packet')}, ${formatBytes(relay.bytes)}`],
  ]);
  const drops = Object.entries(relay.drops).map(([reason, packets]) => [String(packets), reason]);
  if (drops.length === 0) return `${fields}\nNothing was dropped.\n`;
  return `${fields}\n${formatTable(['DROPPED', 'REASON'], drops)}`;
}
