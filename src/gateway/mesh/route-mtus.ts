/**
 * Routes with the MTU of the path behind them (docs/mtu.md). The kernel does the rest: it fragments, says
 * "too big" from its own address, and limits the segments of TCP. A path that carries as much as the
 * interface needs nothing. Pure.
 */
import { BREAKOUT_FAMILIES } from '../../control/breakout.ts';
import type { MeshAddresses, Netmap } from '../../control/netmap.ts';
import type { Family } from '../../routing/address.ts';
import { type Prefix, parsePrefix } from '../../routing/prefix.ts';
import type { WantedRoute, WantedRoutes } from '../../routing/route-plan.ts';
import type { Wanted } from './netmap-translation.ts';

/** What IPv6 asks of a link. With less the kernel drops what no host need make smaller (RFC 8200 § 5). */
const IPV6_MIN_MTU = 1_280;

/** Bytes of the largest packet that the path to a peer carries, by its public key in base64. */
export type PathMtus = ReadonlyMap<string, number>;

export function withMtus(
  netmap: Netmap,
  { routed }: Pick<Wanted, 'routed'>,
  paths: PathMtus,
): WantedRoutes {
  const lists = routed.map(({ publicKey, prefixes }): readonly WantedRoute[] => {
    const mtu = publicKey === undefined ? undefined : paths.get(publicKey);
    return mtu === undefined ? prefixes : allWithMtu(prefixes, mtu);
  });
  if (paths.size === 0) return lists;
  const peers = netmap.peers.flatMap(({ serving, publicKey, mesh }): WantedRoute[] => {
    const mtu = paths.get(publicKey);
    if (!serving || mtu === undefined) return [];
    return meshIpsOf(mesh).map((prefix) => withMtu(prefix, mtu));
  });
  return [...lists, peers];
}

/** Of the default routes, by family. */
export type DefaultMtus = Readonly<Partial<Record<Family, number>>>;

/** What the path to the way out of each family's Internet traffic carries; absent = all that the interface does. */
export function defaultMtus(breakout: Wanted['breakout'], paths: PathMtus): DefaultMtus {
  const found = BREAKOUT_FAMILIES.flatMap((family): [Family, number][] => {
    const way = breakout[family];
    const mtu = way.kind === 'through' ? paths.get(way.by.peer.publicKey) : undefined;
    return mtu === undefined ? [] : [[family, leastOf(family, mtu)]];
  });
  return Object.fromEntries(found);
}

function leastOf(family: Family, mtu: number): number {
  return family === 6 ? Math.max(mtu, IPV6_MIN_MTU) : mtu;
}

/** What was made last of a list: one that is the same object is known to be unchanged. */
const madeLists = new WeakMap<readonly Prefix[], { mtu: number; routes: readonly WantedRoute[] }>();

function allWithMtu(prefixes: readonly Prefix[], mtu: number): readonly WantedRoute[] {
  const before = madeLists.get(prefixes);
  if (before?.mtu === mtu) return before.routes;
  const routes = prefixes.map((prefix) => withMtu(prefix, mtu));
  madeLists.set(prefixes, { mtu, routes });
  return routes;
}

/** Parsed once, so that they are the same objects as long as the peer's are. */
const meshIps = new WeakMap<MeshAddresses, readonly Prefix[]>();

function meshIpsOf(mesh: MeshAddresses): readonly Prefix[] {
  const known = meshIps.get(mesh) ?? [parsePrefix(mesh.ipv4)!, parsePrefix(mesh.ipv6)!];
  meshIps.set(mesh, known);
  return known;
}

/** What was made last of a prefix: a route that is the same object is known to be unchanged. */
const made = new WeakMap<Prefix, WantedRoute>();

function withMtu(prefix: Prefix, mtu: number): WantedRoute {
  const wanted = leastOf(prefix.family, mtu);
  const before = made.get(prefix);
  if (before?.mtu === wanted) return before;
  const route = { ...prefix, mtu: wanted };
  made.set(prefix, route);
  return route;
}
