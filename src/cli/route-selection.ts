/** Which routes `routes rm` and `routes approve` mean: by id, or by prefix and what tells them apart. */
import type { RouteQuery, RouteView } from '../control/operator-api.ts';
import { CausewayError } from '../errors.ts';
import { formatPrefix, parsePrefix } from '../routing/prefix.ts';
import type { EdgeApi } from './edge-request.ts';

export interface RouteSelection {
  readonly vnet?: string;
  readonly connector?: string;
}

const UUID = /^[0-9a-f-]{36}$/;

/**
 * The one route that is meant.
 *
 * @throws CausewayError NOT_FOUND, USAGE when there are several, or what the edge answers
 */
export async function selectRoute(
  edge: EdgeApi,
  reference: string,
  selection: RouteSelection,
): Promise<RouteView> {
  const { routeListSchema, routeViewSchema } = await import('../control/operator-api.ts');
  if (UUID.test(reference)) return edge.get(`/v1/routes/${reference}`, routeViewSchema);
  const query: RouteQuery = { ...selection, subsetOf: reference, supersetOf: reference };
  const { routes } = await edge.get('/v1/routes', routeListSchema, query);
  const prefix = parsePrefix(reference);
  const found = routes.filter((route) => !prefix || route.prefix === formatPrefix(prefix));
  if (found.length === 1) return found[0]!;
  if (found.length === 0) {
    throw new CausewayError(
      'NOT_FOUND',
      `There is no route ${reference}: \`connector routes ls\`.`,
    );
  }
  const holders = found.map(({ connector, vnet }) => `${connector.name} in ${vnet.name}`);
  throw new CausewayError(
    'USAGE',
    `${reference} is a route of ${holders.join(', ')}: say which with --connector or --vnet.`,
  );
}
