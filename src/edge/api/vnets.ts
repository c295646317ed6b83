/** `/v1/vnets`: virtual networks. */
import { z } from 'zod';
import {
  referenceSchema,
  vnetCreateSchema,
  vnetListSchema,
  vnetViewSchema,
} from '../../control/operator-api.ts';
import { createVnet, deleteVnet, setDefaultVnet } from '../../control/registry/vnets.ts';
import { change, type EdgeServices } from '../services.ts';
import { vnetView } from '../views.ts';
import { type Endpoint, endpoint } from './endpoint.ts';

const idSchema = z.strictObject({ id: referenceSchema });

export function vnetEndpoints(services: EdgeServices): Endpoint[] {
  const { view } = services.registry;
  const source = { view, presence: services.presence };
  return [
    endpoint({
      method: 'GET',
      path: '/v1/vnets',
      access: 'read',
      summary: 'All virtual networks, in order of name',
      response: vnetListSchema,
      handle: () => {
        const sorted = [...view.vnets.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
        return { vnets: sorted.map((vnet) => vnetView(source, vnet)) };
      },
    }),
    endpoint({
      method: 'POST',
      path: '/v1/vnets',
      access: 'admin',
      summary: 'Make a virtual network',
      body: vnetCreateSchema,
      response: vnetViewSchema,
      status: 201,
      handle: async ({ body, actor }) => {
        const { default: isDefault, ...rest } = body;
        const { result } = await change(services, actor, (at, context) =>
          createVnet(at, { ...rest, isDefault }, context),
        );
        return vnetView(source, result);
      },
    }),
    endpoint({
      method: 'DELETE',
      path: '/v1/vnets/:id',
      access: 'admin',
      summary: 'Remove a virtual network that no connector is in',
      params: idSchema,
      handle: async ({ params, actor }) => {
        await change(services, actor, (at) => deleteVnet(at, params.id));
      },
    }),
    endpoint({
      method: 'POST',
      path: '/v1/vnets/:id/default',
      access: 'admin',
      summary: 'Put new connectors into this one unless told otherwise',
      params: idSchema,
      response: vnetViewSchema,
      handle: async ({ params, actor }) => {
        const before = view.head.defaultVnet;
        const { result } = await change(services, actor, (at) => setDefaultVnet(at, params.id));
        if (result.id !== before) {
          // The registry's head is in no event.
          const action = 'vnet.default';
          const record = { actor, action, target: result.id, before, after: result.id };
          await services.audit.record([record]);
        }
        return vnetView(source, result);
      },
    }),
  ];
}
