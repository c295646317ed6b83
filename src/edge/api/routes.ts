/** `/v1/routes`: which prefixes go to which connector. */
import { z } from 'zod';
import { routeIdSchema } from '../../control/model.ts';
import {
  type RouteQuery,
  routeCreateSchema,
  routeListSchema,
  routePatchSchema,
  routeQuerySchema,
  routeViewSchema,
} from '../../control/operator-api.ts';
import { existing, existingConnector, existingVnet } from '../../control/registry/checks.ts';
import { checkedCidr } from '../../control/registry/prefixes.ts';
import { addRoute, approveRoute, removeRoute, updateRoute } from '../../control/registry/routes.ts';
import type { RegistryView } from '../../control/registry/view.ts';
import { listRoutes, type RouteFilter } from '../../control/route-questions.ts';
import { change, type EdgeServices } from '../services.ts';
import { isBoundBy, routeView } from '../views.ts';
import { type Endpoint, endpoint } from './endpoint.ts';

const idSchema = z.strictObject({ id: routeIdSchema });

export function routeEndpoints(services: EdgeServices): Endpoint[] {
  const { view } = services.registry;
  const source = { view, presence: services.presence };
  return [
    endpoint({
      method: 'GET',
      path: '/v1/routes',
      access: 'read',
      summary: 'Routes that meet all conditions, in order of prefix',
      query: routeQuerySchema,
      response: routeListSchema,
      handle: ({ query }) => {
        const routes = listRoutes(view, routeFilter(view, query), isBoundBy(source));
        return { routes: routes.map((route) => routeView(source, route)) };
      },
    }),
    endpoint({
      method: 'POST',
      path: '/v1/routes',
      access: 'admin',
      summary: 'Add a route, approved; one that is advertised is taken over',
      body: routeCreateSchema,
      response: routeViewSchema,
      status: 201,
      handle: async ({ body, actor }) => {
        const { result } = await change(services, actor, (at, context) =>
          addRoute(at, body, context),
        );
        return routeView(source, result);
      },
    }),
    endpoint({
      method: 'GET',
      path: '/v1/routes/:id',
      access: 'read',
      summary: 'One route',
      params: idSchema,
      response: routeViewSchema,
      handle: ({ params }) =>
        routeView(source, existing(view.routes.get(params.id), 'route', params.id)),
    }),
    endpoint({
      method: 'PATCH',
      path: '/v1/routes/:id',
      access: 'admin',
      summary: 'Change a route',
      params: idSchema,
      body: routePatchSchema,
      response: routeViewSchema,
      handle: async ({ params, body, actor }) => {
        const { result } = await change(services, actor, (at) => updateRoute(at, params.id, body));
        return routeView(source, result);
      },
    }),
    endpoint({
      method: 'POST',
      path: '/v1/routes/:id/approve',
      access: 'admin',
      summary: 'Let an advertised route take effect',
      params: idSchema,
      response: routeViewSchema,
      handle: async ({ params, actor }) => {
        const { result } = await change(services, actor, (at) => approveRoute(at, params.id));
        return routeView(source, result);
      },
    }),
    endpoint({
      method: 'DELETE',
      path: '/v1/routes/:id',
      access: 'admin',
      summary: 'Remove a route',
      params: idSchema,
      handle: async ({ params, actor }) => {
        await change(services, actor, (at) => removeRoute(at, params.id));
      },
    }),
  ];
}

/** @throws CausewayError NOT_FOUND, ROUTE_PREFIX, ROUTE_HOST_BITS */
function routeFilter(view: RegistryView, query: RouteQuery): RouteFilter {
  const { vnet, connector, subsetOf, supersetOf, state } = query;
  return {
    vnet: vnet === undefined ? undefined : existingVnet(view, vnet).id,
    connector: connector === undefined ? undefined : existingConnector(view, connector).id,
    subsetOf: subsetOf === undefined ? undefined : checkedCidr(subsetOf),
    supersetOf: supersetOf === undefined ? undefined : checkedCidr(supersetOf),
    state,
  };
}
