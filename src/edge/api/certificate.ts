/** `/v1/certificate`: this edge's next certificate, announced and then used (next-certificate.ts). */
import type { z } from 'zod';
import {
  certificateNextSchema,
  certificateSwitchSchema,
  edgeViewSchema,
} from '../../control/operator-api.ts';
import { setEdgePins } from '../../control/registry/edges.ts';
import { CausewayError } from '../../errors.ts';
import type { Actor } from '../audit-log.ts';
import type { EdgePins } from '../next-certificate.ts';
import { change, type EdgeServices } from '../services.ts';
import { edgeView } from '../views.ts';
import { type Endpoint, endpoint } from './endpoint.ts';

/** Gateways that a message names. */
const MOST_NAMED = 5;

export function certificateEndpoints(services: EdgeServices): Endpoint[] {
  const { certificates } = services;
  const tell = async (actor: Actor, pins: EdgePins): Promise<z.input<typeof edgeViewSchema>> => {
    const { result } = await change(services, actor, (at) => setEdgePins(at, services.edge, pins));
    return edgeView(result);
  };
  return [
    endpoint({
      method: 'POST',
      path: '/v1/certificate/next',
      access: 'admin',
      summary: 'Announce the next certificate to all gateways; it is not used yet',
      body: certificateNextSchema,
      response: edgeViewSchema,
      handle: async ({ body, actor }) => tell(actor, await certificates.announce(body.certificate)),
    }),
    endpoint({
      method: 'DELETE',
      path: '/v1/certificate/next',
      access: 'admin',
      summary: 'Announce it no more',
      response: edgeViewSchema,
      handle: async ({ actor }) => tell(actor, await certificates.cancel()),
    }),
    endpoint({
      method: 'POST',
      path: '/v1/certificate/switch',
      access: 'admin',
      summary: "Use the edge's own next certificate from now on",
      body: certificateSwitchSchema,
      response: edgeViewSchema,
      handle: async ({ body, actor }) => {
        const isAnnounced = certificates.pins.nextTlsPin !== undefined;
        if (isAnnounced && body.force !== true) checkInformed(services);
        return tell(actor, await certificates.switch());
      },
    }),
  ];
}

/** @throws CausewayError CERTIFICATE if a gateway may not have heard of the next certificate */
function checkInformed({ registry, streams }: EdgeServices): void {
  const { replicas, connectors } = registry.view;
  const away = [...replicas.values()].filter(({ id }) => !streams.has(id));
  if (away.length === 0) return;
  const names = away.slice(0, MOST_NAMED).map(({ connector, hostname }) => {
    return `${connectors.get(connector)?.name ?? ''} on ${hostname}`;
  });
  const more = away.length > MOST_NAMED ? ', …' : '';
  throw new CausewayError(
    'CERTIFICATE',
    `${away.length} of ${replicas.size} gateways are not connected and may not know the next certificate (${names.join(', ')}${more}): wait for them, or switch with --force. One that does not know it is cut off from the API until it joins with a new token.`,
  );
}
