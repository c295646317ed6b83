/**
 * Rules for routes. Within a virtual network an approved prefix with a priority belongs to one
 * connector, and a connector has a prefix only once; a prefix that waits for approval is in nobody's
 * way. Prefixes inside one another are no conflict: the longest match decides. Default routes are
 * offers, of which each gateway takes whom it names (breakout.ts): any number of connectors has one.
 */
import { CausewayError } from '../../errors.ts';
import { containsPrefix, type Prefix, parsePrefix } from '../../routing/prefix.ts';
import { type BreakoutWish, isDefaultRoute } from '../breakout.ts';
import {
  type Connector,
  commentSchema,
  DEFAULT_PRIORITY,
  MAX_ROUTES,
  MAX_ROUTES_PER_CONNECTOR,
  prioritySchema,
  type ReplicaId,
  type Route,
  type RouteId,
  replicaSchema,
  routeSchema,
  type VnetId,
} from '../model.ts';
import { checked, checkRoom, existing, existingConnector, existingVnet } from './checks.ts';
import { Draft, type Plan, type RuleContext } from './draft.ts';
import { checkedRoutePrefix } from './prefixes.ts';
import type { RegistryView } from './view.ts';

export interface RouteInput {
  readonly prefix: string;
  readonly priority?: number | undefined;
  readonly comment?: string | undefined;
  readonly allowDefault?: boolean | undefined;
}

export interface AddRouteInput extends RouteInput {
  /** Id or name. */
  readonly connector: string;
  /** Id or name; only to be sure: must be the connector's. */
  readonly vnet?: string | undefined;
}

/**
 * Adds the operator's route, approved. One that the connector advertises already is taken over.
 *
 * @throws CausewayError NOT_FOUND, VALUE_INVALID, ROUTE_*, LIMIT_REACHED
 */
export function addRoute(
  view: RegistryView,
  input: AddRouteInput,
  context: RuleContext,
): Plan<Route> {
  const connector = existingConnector(view, input.connector);
  if (input.vnet !== undefined && existingVnet(view, input.vnet).id !== connector.vnet) {
    throw new CausewayError(
      'VALUE_INVALID',
      `"${connector.name}" is in another virtual network than "${input.vnet}".`,
    );
  }
  const draft = new Draft(view);
  const [route] = putRoutes(draft, connector, [input], context);
  return draft.plan(route!);
}

/** Adds the operator's routes of one connector to a draft. */
export function putRoutes(
  draft: Draft,
  connector: Connector,
  inputs: readonly RouteInput[],
  { now, newId }: RuleContext,
): Route[] {
  const { view } = draft;
  const own = ownRoutes(view, connector);
  return inputs.map((input) => {
    const prefix = checkedRoutePrefix(input.prefix, input.allowDefault === true, view.head);
    const before = own.get(prefix);
    if (before?.source === 'operator') throw taken(before, connector);
    const priority = input.priority ?? before?.priority ?? DEFAULT_PRIORITY;
    checkNotTaken(view, connector.vnet, prefix, priority, before?.id);
    if (before === undefined) checkRouteRoom(view, connector, own.size);
    const route = checked(routeSchema, 'route', {
      id: before?.id ?? newId(),
      vnet: connector.vnet,
      connector: connector.id,
      prefix,
      priority,
      comment: input.comment ?? before?.comment ?? '',
      source: 'operator',
      advertisedBy: before?.advertisedBy ?? [],
      approved: true,
      created: before?.created ?? now,
    });
    draft.put('route', route);
    own.set(prefix, route);
    return route;
  });
}

export interface UpdateRouteInput {
  readonly priority?: number | undefined;
  readonly comment?: string | undefined;
}

/** @throws CausewayError NOT_FOUND, VALUE_INVALID, ROUTE_TAKEN */
export function updateRoute(view: RegistryView, id: string, input: UpdateRouteInput): Plan<Route> {
  const before = existing(view.routes.get(id as RouteId), 'route', id);
  const route: Route = {
    ...before,
    priority: checked(prioritySchema, 'priority', input.priority ?? before.priority),
    comment: checked(commentSchema, 'comment', input.comment ?? before.comment),
  };
  if (route.approved) checkNotTaken(view, route.vnet, route.prefix, route.priority, route.id);
  const draft = new Draft(view);
  draft.put('route', route);
  return draft.plan(route);
}

/** A route that a replica goes on advertising comes back when it says so again, to be approved anew. */
export function removeRoute(view: RegistryView, id: string): Plan<Route> {
  const route = existing(view.routes.get(id as RouteId), 'route', id);
  const draft = new Draft(view);
  draft.delete('route', route);
  return draft.plan(route);
}

/** Does nothing to an approved one. @throws CausewayError NOT_FOUND, ROUTE_TAKEN */
export function approveRoute(view: RegistryView, id: string): Plan<Route> {
  const before = existing(view.routes.get(id as RouteId), 'route', id);
  if (before.approved) return { writes: [], result: before };
  checkNotTaken(view, before.vnet, before.prefix, before.priority, before.id);
  const route: Route = { ...before, approved: true };
  const draft = new Draft(view);
  draft.put('route', route);
  return draft.plan(route);
}

export interface AdvertiseInput {
  /** All that the replica offers from now on. */
  readonly prefixes: readonly string[];
  readonly allowDefault?: boolean | undefined;
}

export interface AdvertiseAndBreakoutInput extends AdvertiseInput {
  /** Whom the replica chose for its Internet traffic; undefined = nobody. */
  readonly breakout?: BreakoutWish | undefined;
}

/** The replica's prefixes by whether they are in force or wait for the operator. */
export interface AdvertiseResult {
  readonly approved: readonly string[];
  readonly pending: readonly string[];
}

/** @throws CausewayError NOT_FOUND, ROUTE_*, LIMIT_REACHED */
export function advertiseRoutes(
  view: RegistryView,
  replicaId: ReplicaId,
  input: AdvertiseAndBreakoutInput,
  context: RuleContext,
): Plan<AdvertiseResult> {
  const replica = existing(view.replicas.get(replicaId), 'replica', replicaId);
  const draft = new Draft(view);
  if (JSON.stringify(input.breakout) !== JSON.stringify(replica.breakout)) {
    const { breakout: _, ...rest } = replica;
    const { breakout } = input;
    draft.put(
      'replica',
      checked(replicaSchema, 'replica', { ...rest, ...(breakout && { breakout }) }),
    );
  }
  const connector = existingConnector(view, replica.connector);
  return draft.plan(putAdvertised(draft, connector, replicaId, input, context));
}

/** Makes the replica's offer in a draft: adds what is new, withdraws what is no longer named. */
export function putAdvertised(
  draft: Draft,
  connector: Connector,
  replica: ReplicaId,
  input: AdvertiseInput,
  { now, newId }: RuleContext,
): AdvertiseResult {
  const { view } = draft;
  const own = ownRoutes(view, connector);
  const offered = new Set(
    input.prefixes.map((text) => checkedRoutePrefix(text, input.allowDefault === true, view.head)),
  );
  for (const gone of withdraw(draft, own.values(), replica, offered)) own.delete(gone.prefix);
  const result = { approved: [] as string[], pending: [] as string[] };
  for (const prefix of offered) {
    const before = own.get(prefix);
    let route = before;
    if (before === undefined) {
      const approved = isAutoApproved(connector, parsePrefix(prefix)!);
      checkRouteRoom(view, connector, own.size);
      if (approved) checkNotTaken(view, connector.vnet, prefix, DEFAULT_PRIORITY);
      route = checked(routeSchema, 'route', {
        id: newId(),
        vnet: connector.vnet,
        connector: connector.id,
        prefix,
        priority: DEFAULT_PRIORITY,
        comment: '',
        source: 'advertised',
        advertisedBy: [replica],
        approved,
        created: now,
      });
      own.set(prefix, route);
      draft.put('route', route);
    } else if (!before.advertisedBy.includes(replica)) {
      draft.put('route', { ...before, advertisedBy: [...before.advertisedBy, replica] });
    }
    result[route!.approved ? 'approved' : 'pending'].push(prefix);
  }
  return result;
}

/**
 * Takes back what the replica advertises but for `kept`; a route that nobody stands for goes.
 *
 * @returns the routes that go
 */
export function withdraw(
  draft: Draft,
  routes: Iterable<Route>,
  replica: ReplicaId,
  kept: ReadonlySet<string>,
): Route[] {
  const gone: Route[] = [];
  for (const route of routes) {
    if (!route.advertisedBy.includes(replica) || kept.has(route.prefix)) continue;
    const advertisedBy = route.advertisedBy.filter((id) => id !== replica);
    if (advertisedBy.length === 0 && route.source === 'advertised') {
      draft.delete('route', route);
      gone.push(route);
    } else {
      draft.put('route', { ...route, advertisedBy });
    }
  }
  return gone;
}

function ownRoutes(view: RegistryView, connector: Connector): Map<string, Route> {
  return new Map([...view.routesOf(connector.id).values()].map((route) => [route.prefix, route]));
}

function isAutoApproved(connector: Connector, prefix: Prefix): boolean {
  return connector.autoApprove.some((cidr) => containsPrefix(parsePrefix(cidr)!, prefix));
}

function checkNotTaken(
  view: RegistryView,
  vnet: VnetId,
  prefix: string,
  priority: number,
  except?: RouteId,
): void {
  // Which one of several is taken, each gateway says for itself.
  if (isDefaultRoute(prefix)) return;
  for (const route of view.routesAt(vnet, prefix).values()) {
    if (!route.approved || route.priority !== priority || route.id === except) continue;
    throw taken(route, existingConnector(view, route.connector));
  }
}

function taken(route: Route, connector: Connector): CausewayError {
  return new CausewayError(
    'ROUTE_TAKEN',
    `${route.prefix} is a route of "${connector.name}" with priority ${route.priority} already.`,
  );
}

/** @param own routes of the connector in the draft so far */
function checkRouteRoom(view: RegistryView, { id }: Connector, own: number): void {
  checkRoom(own, MAX_ROUTES_PER_CONNECTOR, 'routes of this connector');
  checkRoom(view.routes.size - view.routesOf(id).size + own, MAX_ROUTES, 'routes');
}
