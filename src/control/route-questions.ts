/**
 * What operators ask of the routes: which connector has an address, how is a prefix reached, what
 * overlaps. Answers name routes of the registry; pending ones are in nobody's way and carry nothing. A
 * default route has nobody's addresses: it carries what gateways send there by their own choice.
 */
import {
  comparePrefixes,
  containsAddress,
  containsPrefix,
  type Prefix,
  parsePrefix,
  prefixesOverlap,
} from '../routing/prefix.ts';
import { type BreakoutOffer, chooseBreakout, defaultFamilies, isDefaultRoute } from './breakout.ts';
import { meshAddresses, meshIndexOf } from './mesh.ts';
import type { Connector, ConnectorId, Replica, ReplicaId, Route, VnetId } from './model.ts';
import type { RegistryView } from './registry/view.ts';

/** Overlapping pairs listed at most. */
export const MAX_OVERLAPS = 1_000;

export type IsBound = (replica: ReplicaId) => boolean;

export type RouteState = 'pending' | 'approved' | 'serving';

export interface RouteStatus {
  /** A replica offers it. */
  readonly advertised: boolean;
  readonly approved: boolean;
  /**
   * It is what gateways send to now: approved, preferred to others, and carried by a bound replica. Of a
   * default route: it is there for those who choose it.
   */
  readonly serving: boolean;
  readonly state: RouteState;
}

export function routeStatus(view: RegistryView, route: Route, isBound: IsBound): RouteStatus {
  const { approved } = route;
  const serving = approved && isPreferred(view, route) && isCarried(view, route.connector, isBound);
  const state = serving ? 'serving' : approved ? 'approved' : 'pending';
  return { advertised: route.advertisedBy.length > 0, approved, serving, state };
}

export interface RouteFilter {
  readonly vnet?: VnetId | undefined;
  readonly connector?: ConnectorId | undefined;
  /** Routes inside this prefix, itself included. */
  readonly subsetOf?: Prefix | undefined;
  /** Routes that contain this prefix, itself included. */
  readonly supersetOf?: Prefix | undefined;
  /** A state that the route has among others: what serves is approved, too. */
  readonly state?: 'advertised' | 'pending' | 'approved' | 'serving' | undefined;
}

/** In order of prefix, then of priority. */
export function listRoutes(view: RegistryView, filter: RouteFilter, isBound: IsBound): Route[] {
  const { vnet, connector, subsetOf, supersetOf, state } = filter;
  const candidates =
    connector === undefined ? view.routes.values() : view.routesOf(connector).values();
  const found: Route[] = [];
  for (const route of candidates) {
    const prefix = view.prefixOf(route.id);
    if (vnet !== undefined && route.vnet !== vnet) continue;
    if (subsetOf !== undefined && !containsPrefix(subsetOf, prefix)) continue;
    if (supersetOf !== undefined && !containsPrefix(prefix, supersetOf)) continue;
    if (state === 'pending' && route.approved) continue;
    if (state !== undefined && state !== 'pending' && !routeStatus(view, route, isBound)[state]) {
      continue;
    }
    found.push(route);
  }
  return found.sort((a, b) => compareRoutes(view, a, b));
}

export interface IpAnswer {
  readonly vnet: VnetId;
  readonly connector: Connector;
  /** The longest match; of a mesh IP the host itself. */
  readonly prefix: string;
  /** Undefined for a mesh IP. */
  readonly route: Route | undefined;
  /** Whether a bound replica carries it. */
  readonly serving: boolean;
  /** Undefined if the connector has none. */
  readonly replica: Replica | undefined;
  /** What would have the address if the answer were not there, the best first. */
  readonly alternatives: readonly Route[];
}

/** Who has an address, in each virtual network or in one; networks where nobody has are left out. */
export function getIp(
  view: RegistryView,
  address: Uint8Array,
  vnet: VnetId | undefined,
  isBound: IsBound,
): IpAnswer[] {
  const matches = new Map<VnetId, Route[]>();
  for (const route of view.routes.values()) {
    if (!route.approved || (vnet !== undefined && route.vnet !== vnet)) continue;
    if (isDefaultRoute(route.prefix)) continue;
    if (!containsAddress(view.prefixOf(route.id), address)) continue;
    const found = matches.get(route.vnet);
    if (found === undefined) matches.set(route.vnet, [route]);
    else found.push(route);
  }
  const answers: IpAnswer[] = [];
  const owner = meshOwner(view, address);
  if (owner !== undefined && (vnet === undefined || vnet === owner.connector.vnet)) {
    const alternatives = (matches.get(owner.connector.vnet) ?? []).sort(bestFirst(view));
    matches.delete(owner.connector.vnet);
    answers.push(answer(view, owner.connector, owner.prefix, undefined, alternatives, isBound));
  }
  for (const found of matches.values()) {
    const [route, ...alternatives] = found.sort(bestFirst(view));
    const connector = view.connectors.get(route!.connector)!;
    answers.push(answer(view, connector, route!.prefix, route, alternatives, isBound));
  }
  return answers.sort((a, b) => (a.vnet < b.vnet ? -1 : 1));
}

export interface CidrAnswer {
  readonly vnet: VnetId;
  /** The route that carries all of it, but for what a longer one inside it takes. */
  readonly reachedBy: Route | undefined;
  /** Every route, pending ones included, that has an address in common with it. */
  readonly overlapping: readonly Route[];
}

/** How a prefix is reached; networks where nothing overlaps it are left out unless asked for. */
export function checkCidr(
  view: RegistryView,
  prefix: Prefix,
  vnet: VnetId | undefined,
): CidrAnswer[] {
  const found = new Map<VnetId, Route[]>(vnet === undefined ? [] : [[vnet, []]]);
  for (const route of view.routes.values()) {
    if (vnet !== undefined && route.vnet !== vnet) continue;
    if (!prefixesOverlap(view.prefixOf(route.id), prefix)) continue;
    const routes = found.get(route.vnet);
    if (routes === undefined) found.set(route.vnet, [route]);
    else routes.push(route);
  }
  return [...found]
    .map(([id, routes]) => ({
      vnet: id,
      reachedBy: routes
        .filter((route) => route.approved && !isDefaultRoute(route.prefix))
        .filter((route) => containsPrefix(view.prefixOf(route.id), prefix))
        .sort(bestFirst(view))[0],
      overlapping: routes.sort((a, b) => compareRoutes(view, a, b)),
    }))
    .sort((a, b) => (a.vnet < b.vnet ? -1 : 1));
}

export interface Overlap {
  readonly outer: Route;
  /** The same prefix or part of it. */
  readonly inner: Route;
}

/** All pairs of routes that overlap, over all virtual networks or in one. */
export function overlaps(
  view: RegistryView,
  vnet: VnetId | undefined,
  max = MAX_OVERLAPS,
): { readonly overlaps: Overlap[]; readonly truncated: boolean } {
  const routes = [...view.routes.values()]
    .filter((route) => vnet === undefined || route.vnet === vnet)
    .sort((a, b) => compareRoutes(view, a, b));
  const found: Overlap[] = [];
  // In this order whatever contains a prefix comes before it: the stack holds what still may.
  const stack: Route[] = [];
  for (const inner of routes) {
    const prefix = view.prefixOf(inner.id);
    while (stack.length > 0 && !containsPrefix(view.prefixOf(stack.at(-1)!.id), prefix)) {
      stack.pop();
    }
    for (const outer of stack) {
      if (found.length >= max) return { overlaps: found, truncated: true };
      found.push({ outer, inner });
    }
    stack.push(inner);
  }
  return { overlaps: found, truncated: false };
}

/**
 * Connectors whose Internet traffic goes by a default route now, in order of their names; of any other
 * route none. As the serving replicas said that they want it.
 */
export function breakoutUsers(view: RegistryView, route: Route): string[] {
  const [family] = defaultFamilies([route.prefix]);
  if (family === undefined || !route.approved) return [];
  const offers = [...view.connectorsIn(route.vnet).values()].map((connector): BreakoutOffer => {
    const { id, name } = connector;
    const carried = view.servingReplica(id) === undefined ? [] : [...view.routesOf(id).values()];
    const approved = carried.filter((one) => one.approved).map(({ prefix }) => prefix);
    return { id, name, families: defaultFamilies(approved) };
  });
  return offers
    .filter(({ id }) => {
      const wish = view.servingReplica(id as ConnectorId)?.breakout;
      if (wish === undefined) return false;
      const others = offers.filter((offer) => offer.id !== id);
      const way = chooseBreakout(wish, others)[family];
      return way.kind === 'through' && way.by.id === route.connector;
    })
    .map(({ name }) => name)
    .sort();
}

/** Whether no other approved route of the same prefix has a lower priority. */
function isPreferred(view: RegistryView, route: Route): boolean {
  if (isDefaultRoute(route.prefix)) return true;
  for (const other of view.routesAt(route.vnet, route.prefix).values()) {
    if (other.approved && other.priority < route.priority) return false;
  }
  return true;
}

function isCarried(view: RegistryView, connector: ConnectorId, isBound: IsBound): boolean {
  const replica = view.servingReplica(connector);
  return replica !== undefined && isBound(replica.id);
}

function answer(
  view: RegistryView,
  connector: Connector,
  prefix: string,
  route: Route | undefined,
  alternatives: readonly Route[],
  isBound: IsBound,
): IpAnswer {
  const replica = view.servingReplica(connector.id);
  const serving = replica !== undefined && isBound(replica.id);
  return { vnet: connector.vnet, connector, prefix, route, serving, replica, alternatives };
}

function meshOwner(
  view: RegistryView,
  address: Uint8Array,
): { readonly connector: Connector; readonly prefix: string } | undefined {
  const index = meshIndexOf(view.head, address);
  const connector = index === undefined ? undefined : view.byMeshIndex(index);
  if (connector === undefined) return undefined;
  const mesh = meshAddresses(view.head, connector.meshIndex);
  const prefix = address.length === 4 ? mesh.ipv4 : mesh.ipv6;
  // The index is the address's last bits; an IPv6 one has more in front of them.
  return containsAddress(parsePrefix(prefix)!, address) ? { connector, prefix } : undefined;
}

/** Longest prefix, then lowest priority. */
function bestFirst(view: RegistryView): (a: Route, b: Route) => number {
  return (a, b) =>
    view.prefixOf(b.id).length - view.prefixOf(a.id).length || a.priority - b.priority;
}

function compareRoutes(view: RegistryView, a: Route, b: Route): number {
  return (
    comparePrefixes(view.prefixOf(a.id), view.prefixOf(b.id)) ||
    a.priority - b.priority ||
    (a.id < b.id ? -1 : 1)
  );
}
