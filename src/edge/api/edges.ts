/** `/v1/edges`, `/v1/status`, `/metrics`, `/healthz`: the edge itself. */
import { z } from 'zod';
import { edgeListSchema, edgeStatusSchema } from '../../control/operator-api.ts';
import { type EdgeServices, ownEdge } from '../services.ts';
import { edgeView, isoTime } from '../views.ts';
import { type Endpoint, endpoint } from './endpoint.ts';

export function edgeEndpoints(services: EdgeServices): Endpoint[] {
  const { view } = services.registry;
  return [
    endpoint({
      method: 'GET',
      path: '/v1/edges',
      access: 'read',
      summary: 'All edges, in order of name',
      response: edgeListSchema,
      handle: () => {
        const sorted = [...view.edges.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
        return { edges: sorted.map(edgeView) };
      },
    }),
    endpoint({
      method: 'GET',
      path: '/v1/status',
      access: 'read',
      summary: 'What this edge is and how much it has to do',
      response: edgeStatusSchema,
      handle: () => {
        const { drops, forwardedBytes, forwardedPackets } = services.relay.statistics();
        let pending = 0;
        for (const { approved } of view.routes.values()) if (!approved) pending++;
        let bound = 0;
        for (const id of view.replicas.keys()) if (services.presence.isBound(id)) bound++;
        return {
          edge: edgeView(ownEdge(services)),
          version: services.version,
          started: isoTime(services.started),
          time: isoTime(services.now()),
          revision: view.revision,
          vnets: view.vnets.size,
          connectors: services.presence.counts(),
          replicas: { total: view.replicas.size, bound, streams: services.streams.size },
          routes: { total: view.routes.size, pending },
          relay: {
            packets: forwardedPackets,
            bytes: forwardedBytes,
            drops: Object.fromEntries(drops),
          },
        };
      },
    }),
    endpoint({
      method: 'GET',
      path: '/metrics',
      access: 'read',
      summary: 'Metrics in the format of Prometheus',
      response: z.string(),
      contentType: 'text/plain; version=0.0.4; charset=utf-8',
      handle: () => services.metrics(),
    }),
    endpoint({
      method: 'GET',
      path: '/healthz',
      access: 'public',
      summary: 'Whether the edge serves: 503 when its registry or its relay does not',
      response: z.string(),
      contentType: 'text/plain; charset=utf-8',
      handle: async () => {
        await services.readiness.check();
        return 'ok\n';
      },
    }),
  ];
}
