/** What replicas use: enrolment, the netmap stream, advertised prefixes (control/api.ts). */
import {
  ADVERTISE_PATH,
  advertiseRequestSchema,
  advertiseResponseSchema,
  ENROL_PATH,
  enrolRequestSchema,
  enrolResponseSchema,
  FAULTS_PATH,
  faultsRequestSchema,
  NETMAP_PATH,
  netmapQuerySchema,
} from '../../control/api.ts';
import { enrolReplica, joiningConnector } from '../../control/registry/replicas.ts';
import { advertiseRoutes } from '../../control/registry/routes.ts';
import { CausewayError } from '../../errors.ts';
import type { Actor } from '../audit-log.ts';
import { REQUEST_COST } from '../change-limiter.ts';
import { markStreaming } from '../listeners.ts';
import { change, type EdgeServices } from '../services.ts';
import { type Endpoint, endpoint } from './endpoint.ts';

/** Refusals of who joins: they count as failures of the source. */
const REFUSED = ['JOIN_TOKEN_WRONG', 'JOIN_TOKEN_REVOKED', 'JOIN_TOKEN_DAMAGED', 'KEY_UNPROVEN'];

export function replicaEndpoints(services: EdgeServices): Endpoint[] {
  const bound = (replica: string, cost: number): void =>
    services.changeLimiter.take(replica, cost, performance.now());
  return [
    endpoint({
      method: 'POST',
      path: ENROL_PATH,
      access: 'public',
      summary: 'Join as a replica, with the secret of a join token and a proof of the key',
      body: enrolRequestSchema,
      response: enrolResponseSchema,
      status: 201,
      // The netmap is text already.
      contentType: 'application/json',
      handle: async ({ body, source }) => {
        const { advertise, allowDefault, proof: _, ...input } = body;
        const actor: Actor = { role: 'enrolling', name: input.connector, source };
        const { result } = await change(services, actor, (at, context) => {
          // The proof costs a thousand times what the secret does, which strangers do not have.
          joiningConnector(at, input);
          if (!services.isProven(body)) throw unproven();
          const offer = { prefixes: advertise, allowDefault };
          const plan = enrolReplica(at, { ...input, advertise: offer }, context);
          // Only now it is known that the secret is right: a stranger takes nothing from a replica.
          bound(plan.result.replica.id, plan.writes.length + REQUEST_COST);
          return plan;
        }).catch((error: unknown) => {
          if (!(error instanceof CausewayError) || !REFUSED.includes(error.code)) throw error;
          throw services.authentication.failure(source, error);
        });
        const { replica, connector } = result;
        // It may bind as soon as it has the answer.
        await services.relayLink.settled();
        const netmap = services.index.full(replica.id);
        const netmapId = services.index.idOf(services.index.revision);
        if (netmap === undefined) {
          throw new CausewayError('NOT_FOUND', 'The replica was deleted while it joined.');
        }
        const head = JSON.stringify({
          replica: replica.id,
          connector: connector.id,
          name: connector.name,
          relayId: replica.relayId,
          time: services.now(),
          netmapId,
        });
        return `${head.slice(0, -1)},"netmap":${[...netmap].join('')}}` as never;
      },
    }),
    endpoint({
      method: 'GET',
      path: NETMAP_PATH,
      access: 'replica',
      summary: 'Server-sent events: the netmap, then its changes; resumed by Last-Event-ID',
      query: netmapQuerySchema,
      stream: true,
      contentType: 'text/event-stream',
      handle: ({ replica, lastEventId, query, source }, reply) => {
        const now = services.registry.view.replicas.get(replica!.id);
        if (now?.credentialHash !== replica!.credentialHash) {
          throw new CausewayError('UNAUTHORIZED', 'The credential was replaced just now.');
        }
        const since = services.index.resume(lastEventId);
        reply.hijack();
        const { raw } = reply;
        markStreaming(raw);
        raw.socket?.setKeepAlive(true, 30_000);
        // The connection is the stream's alone: without chunks an event is written as it is.
        raw.useChunkedEncodingByDefault = false;
        raw.writeHead(200, {
          'content-type': 'text/event-stream',
          'cache-control': 'no-store',
          'x-accel-buffering': 'no',
          connection: 'close',
        });
        raw.flushHeaders();
        services.streams.open(replica!.id, since, raw);
        if (query.instance !== undefined) {
          const twins = services.presence.handleStream(replica!.id, query.instance, source);
          if (twins !== undefined) services.streams.tellTwins(replica!.id, twins);
        }
      },
    }),
    endpoint({
      method: 'PUT',
      path: ADVERTISE_PATH,
      access: 'replica',
      summary: 'What this replica offers from now on, all of it',
      body: advertiseRequestSchema,
      response: advertiseResponseSchema,
      handle: async ({ body, replica, actor }) => {
        bound(replica!.id, REQUEST_COST);
        const { result } = await change(services, actor, (at, context) => {
          const plan = advertiseRoutes(at, replica!.id, body, context);
          bound(replica!.id, plan.writes.length);
          return plan;
        });
        return { approved: [...result.approved], pending: [...result.pending] };
      },
    }),
    endpoint({
      method: 'PUT',
      path: FAULTS_PATH,
      access: 'replica',
      summary: 'What of this replica’s traffic goes one way, all of it: its connector is degraded',
      body: faultsRequestSchema,
      handle: ({ body, replica }) => {
        bound(replica!.id, REQUEST_COST);
        services.presence.handleFaults(replica!.id, body.faults);
      },
    }),
  ];
}

function unproven(): CausewayError {
  return new CausewayError(
    'KEY_UNPROVEN',
    'This host did not prove that the WireGuard key is its own: the join token is of an edge with another key (`connector rotate-token` on this edge makes a new one), or the key is of another host.',
  );
}
