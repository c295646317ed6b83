/** `/v1/connectors`: connectors, their join tokens and replicas. */
import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import type { ReplicaId } from '../../control/model.ts';
import {
  connectorCreatedSchema,
  connectorCreateSchema,
  connectorListSchema,
  connectorPatchSchema,
  connectorQuerySchema,
  connectorViewSchema,
  joinTokenResponseSchema,
  referenceSchema,
} from '../../control/operator-api.ts';
import { existing, existingConnector, existingVnet } from '../../control/registry/checks.ts';
import {
  createConnector,
  deleteConnector,
  rotateJoinSecret,
  updateConnector,
} from '../../control/registry/connectors.ts';
import { removeReplica } from '../../control/registry/replicas.ts';
import { SECRET_SIZE } from '../../control/secrets.ts';
import { change, type EdgeServices, joinToken } from '../services.ts';
import { connectorView } from '../views.ts';
import { type Endpoint, endpoint } from './endpoint.ts';

const idSchema = z.strictObject({ id: referenceSchema });
const replicaIdSchema = z.strictObject({ id: referenceSchema, replica: referenceSchema });

export function connectorEndpoints(services: EdgeServices): Endpoint[] {
  const { view } = services.registry;
  const source = { view, presence: services.presence };
  return [
    endpoint({
      method: 'GET',
      path: '/v1/connectors',
      access: 'read',
      summary: 'All connectors, in order of name',
      query: connectorQuerySchema,
      response: connectorListSchema,
      handle: ({ query }) => {
        const all =
          query.vnet === undefined
            ? view.connectors
            : view.connectorsIn(existingVnet(view, query.vnet).id);
        const sorted = [...all.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
        return { connectors: sorted.map((connector) => connectorView(source, connector)) };
      },
    }),
    endpoint({
      method: 'POST',
      path: '/v1/connectors',
      access: 'admin',
      summary: 'Register a connector; the answer has its join token, once',
      body: connectorCreateSchema,
      response: connectorCreatedSchema,
      status: 201,
      handle: async ({ body, actor }) => {
        const { routes = [], allowDefault, ...rest } = body;
        const secret = new Uint8Array(randomBytes(SECRET_SIZE));
        const input = {
          ...rest,
          secret,
          routes: routes.map((prefix) => ({ prefix, allowDefault })),
        };
        const { result } = await change(services, actor, (at, context) =>
          createConnector(at, input, context),
        );
        return {
          connector: connectorView(source, result.connector),
          joinToken: joinToken(services, {
            connector: result.connector.id,
            secret: result.secret,
          }),
        };
      },
    }),
    endpoint({
      method: 'GET',
      path: '/v1/connectors/:id',
      access: 'read',
      summary: 'One connector with its replicas',
      params: idSchema,
      response: connectorViewSchema,
      handle: ({ params }) => connectorView(source, existingConnector(view, params.id)),
    }),
    endpoint({
      method: 'PATCH',
      path: '/v1/connectors/:id',
      access: 'admin',
      summary: 'Rename a connector, or change what it may do',
      params: idSchema,
      body: connectorPatchSchema,
      response: connectorViewSchema,
      handle: async ({ params, body, actor }) => {
        const { result } = await change(services, actor, (at) =>
          updateConnector(at, params.id, body),
        );
        return connectorView(source, result);
      },
    }),
    endpoint({
      method: 'DELETE',
      path: '/v1/connectors/:id',
      access: 'admin',
      summary: 'Delete a connector with its routes and replicas; its hosts are cut off',
      params: idSchema,
      handle: async ({ params, actor }) => {
        await change(services, actor, (at) => deleteConnector(at, params.id));
      },
    }),
    endpoint({
      method: 'POST',
      path: '/v1/connectors/:id/rotate-token',
      access: 'admin',
      summary: 'A new join token; the one before is void, replicas stay',
      params: idSchema,
      response: joinTokenResponseSchema,
      handle: async ({ params, actor }) => {
        const secret = new Uint8Array(randomBytes(SECRET_SIZE));
        const { result } = await change(services, actor, (at) =>
          rotateJoinSecret(at, params.id, secret),
        );
        return {
          joinToken: joinToken(services, {
            connector: result.connector.id,
            secret: result.secret,
          }),
        };
      },
    }),
    endpoint({
      method: 'DELETE',
      path: '/v1/connectors/:id/replicas/:replica',
      access: 'admin',
      summary: 'Remove one replica; its host is cut off',
      params: replicaIdSchema,
      handle: async ({ params, actor }) => {
        await change(services, actor, (at) => {
          const connector = existingConnector(at, params.id);
          const replicas = at.replicasOf(connector.id);
          const replica = existing(replicas.get(params.replica), 'replica', params.replica);
          return removeReplica(at, replica.id satisfies ReplicaId);
        });
      },
    }),
  ];
}
