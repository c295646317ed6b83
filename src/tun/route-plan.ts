/**
 * Which prefixes go through a tunnel, and which stay local although the tunnel covers them. Pure.
 *
 * The tunnel's routes live in a table of their own, which is asked before the main one. So that
 * the longest prefix still wins over both, every route of the main table that lies inside one of the
 * tunnel's gets a `throw` entry, which sends the lookup on to the main table. A directly connected
 * subnet is stronger than that: nothing of it ever goes through a tunnel, however specific.
 */
import { comparePrefixes, containsPrefix, equalPrefixes, type Prefix } from '../routing/prefix.ts';

/** A prefix to be routed into the tunnel. */
export interface WantedRoute extends Prefix {
  /** Of packets to there; undefined = the interface's. */
  readonly mtu?: number;
}

/** A route of the main table. */
export interface LocalRoute {
  readonly prefix: Prefix;
  /** Made by the kernel for an address of an interface. */
  readonly connected: boolean;
  readonly interfaceName: string;
}

export interface RouteConflict {
  /** The tunnel's. */
  readonly prefix: Prefix;
  readonly local: LocalRoute;
  /** `not-installed`: all of it stays local; `partly-local`: the local part of it does. */
  readonly outcome: 'not-installed' | 'partly-local';
}

export interface RoutePlan {
  /** Through the tunnel; sorted, each once. */
  readonly routes: readonly WantedRoute[];
  /** Back to the main table; sorted, each once. */
  readonly throws: readonly Prefix[];
  /** Families whose packets are refused where neither the tunnel nor a route but main's default is. */
  readonly closed?: readonly (4 | 6)[];
  readonly conflicts: readonly RouteConflict[];
}

/** Plans for one tunnel. `local` is the main table without what leads into the tunnel itself. */
export function planRoutes(
  prefixes: Iterable<WantedRoute>,
  local: readonly LocalRoute[],
): RoutePlan {
  // The default route of the main table is what a tunnel's default route is to take over.
  const specific = local.filter(({ prefix }) => prefix.length > 0);
  const routes: WantedRoute[] = [];
  const throws: Prefix[] = [];
  const conflicts: RouteConflict[] = [];
  for (const prefix of unique([...prefixes])) {
    const winner = specific.find((route) =>
      route.connected ? containsPrefix(route.prefix, prefix) : equalPrefixes(route.prefix, prefix),
    );
    if (winner !== undefined) {
      conflicts.push({ prefix, local: winner, outcome: 'not-installed' });
      continue;
    }
    routes.push(prefix);
    for (const route of specific) {
      if (!containsPrefix(prefix, route.prefix)) continue;
      throws.push(route.prefix);
      // Under a default route everything is local in part: that is no news.
      if (route.connected && prefix.length > 0) {
        conflicts.push({ prefix, local: route, outcome: 'partly-local' });
      }
    }
  }
  return { routes, throws: unique(throws), conflicts };
}

function unique<T extends Prefix>(prefixes: readonly T[]): T[] {
  const sorted = [...prefixes].sort(comparePrefixes);
  return sorted.filter((prefix, i) => i === 0 || comparePrefixes(sorted[i - 1]!, prefix) !== 0);
}
