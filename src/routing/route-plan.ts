/**
 * Which prefixes go through a tunnel, and which stay local although the tunnel covers them. Pure.
 *
 * The tunnel's routes live in a table of their own, which is asked before the main one. So that
 * the longest prefix still wins over both, every route of the main table that lies inside one of the
 * tunnel's gets a `throw` entry, which sends the lookup on to the main table. A directly connected
 * subnet is stronger than that: nothing of it ever goes through a tunnel, however specific.
 *
 * Time: for each wanted prefix a look at each length that connected subnets have; for each local route
 * one at each length that wanted prefixes have. Both are few where there are 100,000 prefixes.
 */
import { differing, joined } from './lists.ts';
import { comparePrefixes, type Prefix } from './prefix.ts';
import { type PrefixKey, prefixKey, prefixKeyAt } from './prefix-key.ts';

/** A prefix to be routed into the tunnel. */
export interface WantedRoute extends Prefix {
  /** Of packets to there; undefined = the interface's. */
  readonly mtu?: number;
}

/** Lists of them: one that is the same object as before has not changed. The same twice: the first counts. */
export type WantedRoutes = readonly (readonly WantedRoute[])[];

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

/** An entry of the tunnel's table. */
export interface TableRoute extends WantedRoute {
  /** Undefined = into the tunnel; `throw` = back to the main table. */
  readonly kind?: 'throw';
}

export interface RoutePlan {
  /** Through the tunnel; sorted, each once. */
  readonly routes: readonly WantedRoute[];
  /** Back to the main table; sorted, each once. */
  readonly throws: readonly Prefix[];
  readonly conflicts: readonly RouteConflict[];
}

/** Plans for one tunnel. `local` is the main table without what leads into the tunnel itself. */
export function planRoutes(
  prefixes: Iterable<WantedRoute>,
  local: readonly LocalRoute[],
): RoutePlan {
  const planner = new RoutePlanner();
  planner.update([[...prefixes]], local);
  const entries = [...planner.table.values()].sort(comparePrefixes);
  return {
    routes: entries.filter(({ kind }) => kind === undefined),
    throws: entries
      .filter(({ kind }) => kind === 'throw')
      .map(({ family, address, length }) => ({ family, address, length })),
    conflicts: planner.conflicts,
  };
}

/**
 * Keeps the plan for a tunnel, so that one prefix more among 100,000 costs little: what of `wanted` is
 * the same object as before, a list or a route of one, is taken for unchanged.
 */
export class RoutePlanner {
  /** The tunnel's table as it should be. */
  readonly table = new Map<PrefixKey, TableRoute>();
  #wanted: WantedRoutes = [];
  /** The same by key: the first of equal ones. */
  readonly #unique = new Map<PrefixKey, WantedRoute>();
  #local: readonly LocalRoute[] = [];
  /** Of local routes but the default: connected ones by length, shortest first; others by key. */
  #connected: { readonly length: number; readonly routes: Map<PrefixKey, LocalRoute> }[] = [];
  readonly #routed = new Map<PrefixKey, LocalRoute>();
  /** How many wanted prefixes there are of a family and length: index length, IPv6 from 64 on. */
  readonly #lengths = new Int32Array(256);
  readonly #lost = new Map<PrefixKey, RouteConflict>();
  #partly: RouteConflict[] = [];
  /** Keys of the entries that throw. */
  #thrown: ReadonlySet<PrefixKey> = new Set();

  get conflicts(): readonly RouteConflict[] {
    const all = [...this.#lost.values(), ...this.#partly];
    return all.sort(
      (a, b) =>
        comparePrefixes(a.prefix, b.prefix) || comparePrefixes(a.local.prefix, b.local.prefix),
    );
  }

  /**
   * Plans anew.
   *
   * @returns keys whose entry may be another than before; undefined = any
   */
  update(wanted: WantedRoutes, local: readonly LocalRoute[]): ReadonlySet<PrefixKey> | undefined {
    const count = this.#wanted.reduce((sum, { length }) => sum + length, 0);
    const duplicates = this.#unique.size !== count;
    if (local === this.#local && !duplicates) {
      const touched = this.#exchange(wanted);
      if (touched !== undefined) return touched;
    }
    this.#rebuild(wanted, local);
    return undefined;
  }

  #rebuild(wanted: WantedRoutes, local: readonly LocalRoute[]): void {
    this.#wanted = wanted;
    if (local !== this.#local) this.#takeLocal(local);
    this.table.clear();
    this.#unique.clear();
    this.#lost.clear();
    this.#lengths.fill(0);
    for (const list of wanted) {
      for (const route of list) {
        const key = prefixKey(route);
        if (!this.#unique.has(key)) this.#add(key, route);
      }
    }
    this.#planThrows();
  }

  /** Only what differs between common beginnings and ends; undefined = that is too much. */
  #exchange(wanted: WantedRoutes): Set<PrefixKey> | undefined {
    const lists = differing(this.#wanted, wanted);
    const routes = differing(joined(lists.before), joined(lists.after));
    const touched = new Set<PrefixKey>();
    for (const route of routes.before) {
      const key = prefixKey(route);
      this.#remove(key);
      touched.add(key);
    }
    for (const route of routes.after) {
      const key = prefixKey(route);
      // The same prefix twice: which of them is the first is not known here.
      if (this.#unique.has(key)) return undefined;
      this.#add(key, route);
      touched.add(key);
    }
    this.#wanted = wanted;
    for (const key of this.#planThrows()) touched.add(key);
    return touched;
  }

  #add(key: PrefixKey, route: WantedRoute): void {
    this.#unique.set(key, route);
    this.#lengths[lengthIndex(route)]!++;
    const winner = this.#winnerOver(key, route);
    if (winner === undefined) this.table.set(key, route);
    else this.#lost.set(key, { prefix: route, local: winner, outcome: 'not-installed' });
  }

  #remove(key: PrefixKey): void {
    const route = this.#unique.get(key);
    if (route === undefined) return;
    this.#unique.delete(key);
    this.#lengths[lengthIndex(route)]!--;
    this.#lost.delete(key);
    if (this.table.get(key)?.kind === undefined) this.table.delete(key);
  }

  #winnerOver(key: PrefixKey, { address, length }: Prefix): LocalRoute | undefined {
    for (const group of this.#connected) {
      if (group.length > length) break;
      const route = group.routes.get(prefixKeyAt(address, group.length));
      if (route !== undefined) return route;
    }
    return this.#routed.get(key);
  }

  #takeLocal(local: readonly LocalRoute[]): void {
    this.#local = local;
    this.#connected = [];
    this.#routed.clear();
    for (const route of local) {
      const { prefix, connected } = route;
      // The default route of the main table is what a tunnel's default route is to take over.
      if (prefix.length === 0) continue;
      const key = prefixKey(prefix);
      if (!connected) {
        if (!this.#routed.has(key)) this.#routed.set(key, route);
        continue;
      }
      let group = this.#connected.find(({ length }) => length === prefix.length);
      if (group === undefined) {
        group = { length: prefix.length, routes: new Map() };
        this.#connected.push(group);
      }
      if (!group.routes.has(key)) group.routes.set(key, route);
    }
    this.#connected.sort((a, b) => a.length - b.length);
  }

  /** Local routes inside installed ones get their entry; keys whose entry came or went. */
  #planThrows(): PrefixKey[] {
    const changed: PrefixKey[] = [];
    const needed = new Set<PrefixKey>();
    this.#partly = [];
    for (const local of this.#local) {
      const { prefix, connected } = local;
      if (prefix.length === 0) continue;
      const key = prefixKey(prefix);
      for (let length = 0; length <= prefix.length; length++) {
        if (this.#lengths[lengthIndex({ ...prefix, length })] === 0) continue;
        const outer = this.table.get(prefixKeyAt(prefix.address, length));
        if (outer === undefined || outer.kind !== undefined) continue;
        needed.add(key);
        // Under a default route everything is local in part: that is no news.
        if (connected && length > 0) {
          this.#partly.push({ prefix: outer, local, outcome: 'partly-local' });
        }
      }
      if (!needed.has(key) || this.table.has(key)) continue;
      const { family, address, length } = prefix;
      this.table.set(key, { family, address, length, kind: 'throw' });
      changed.push(key);
    }
    for (const key of this.#thrown) {
      if (needed.has(key)) continue;
      if (this.table.get(key)?.kind === 'throw') this.table.delete(key);
      changed.push(key);
    }
    this.#thrown = needed;
    return changed;
  }
}

/** Whether two readings of the main table say the same, in the same order. */
export function sameLocalRoutes(a: readonly LocalRoute[], b: readonly LocalRoute[]): boolean {
  const same = (one: LocalRoute, other: LocalRoute): boolean =>
    one.connected === other.connected &&
    one.interfaceName === other.interfaceName &&
    comparePrefixes(one.prefix, other.prefix) === 0;
  return a.length === b.length && a.every((route, i) => same(route, b[i]!));
}

function lengthIndex({ family, length }: Prefix): number {
  return family === 4 ? length : 64 + length;
}
