/** Where a prefix of this site is, seen from the gateway: the interface that its hosts are behind. Pure. */
import {
  containsAddress,
  containsPrefix,
  type Prefix,
  prefixesOverlap,
} from '../../routing/prefix.ts';
import type { HostFacts, HostLink, HostRoute } from './host-facts.ts';

export interface LanLocation {
  readonly prefix: Prefix;
  /**
   * `here`: a route of its own, or of a part of it. `default`: by nothing but the default route.
   * `nowhere`: not even that.
   */
  readonly how: 'here' | 'default' | 'nowhere';
  /** Names of the interfaces, the best route's first. */
  readonly interfaces: readonly string[];
  /** Links with an address in it that are down or have no carrier: their routes are gone or dead. */
  readonly down: readonly HostLink[];
}

export function locateLan(
  prefix: Prefix,
  { links, routes }: Pick<HostFacts, 'links' | 'routes'>,
): LanLocation {
  const inside = links.filter(({ addresses }) =>
    addresses.some((address) => containsAddress(prefix, address.address)),
  );
  const down = inside.filter(({ up, carrier }) => !up || !carrier);
  const dead = new Set(down.map(({ name }) => name));
  const ofFamily = routes.filter((route) => route.prefix.family === prefix.family);
  const specific = ofFamily
    .filter((route) => route.prefix.length > 0 && prefixesOverlap(route.prefix, prefix))
    .filter(({ interfaceName }) => !dead.has(interfaceName))
    .toSorted((a, b) => closeness(b, prefix) - closeness(a, prefix));
  const names = (found: readonly HostRoute[]): string[] => [
    ...new Set(found.map(({ interfaceName }) => interfaceName)),
  ];
  if (specific.length > 0) return { prefix, how: 'here', interfaces: names(specific), down };
  const fallback = ofFamily.filter((route) => route.prefix.length === 0);
  const how = fallback.length > 0 ? 'default' : 'nowhere';
  return { prefix, how, interfaces: names(fallback), down };
}

/** A route of the whole prefix before one of a part of it; the longer one of each first. */
function closeness(route: HostRoute, prefix: Prefix): number {
  const whole = containsPrefix(route.prefix, prefix);
  return (whole ? 1_000 : 0) + route.prefix.length;
}
