/**
 * What packets out of the mesh may be for: this gateway's mesh IPs and the approved prefixes of its
 * site. Anything else would make it a router for its peers, into networks that it only happens to
 * reach. A default route counts as long as the kernel has the rules that go with it.
 */
import { BREAKOUT_FAMILIES, DEFAULT_ROUTES, isDefaultRoute } from '../../control/breakout.ts';
import type { NetmapSelf } from '../../control/netmap.ts';
import { type Prefix, parsePrefix } from '../../routing/prefix.ts';
import type { DeviceChange } from '../../wireguard/configuration.ts';
import { AllowedIpRecords } from '../allowed-ip-records.ts';
import { approvedPrefixes } from './breakout-tables.ts';

type DestinationChange = Pick<DeviceChange, 'destinations'>;

export class OwnDestinations {
  readonly #hasRules: () => boolean;
  /** By their text; undefined = the data plane was told nothing yet. */
  #told: ReadonlyMap<string, Prefix> | undefined;
  #of: { readonly self: NetmapSelf | undefined; readonly defaults: string } | undefined;

  /** @param hasRules whether the kernel has what goes with default routes, as the netmap in force wants it */
  constructor(hasRules: () => boolean) {
    this.#hasRules = hasRules;
  }

  /**
   * What makes of the data plane's list the one of a netmap that the kernel does not have yet: default
   * routes count where they did before. Counts as done; undefined = nothing changes. The first change
   * switches the list on.
   *
   * @param self undefined = nothing is let in
   */
  prepare(self: NetmapSelf | undefined): DestinationChange | undefined {
    return this.#change(
      self,
      BREAKOUT_FAMILIES.map((family) => DEFAULT_ROUTES[family]).filter((text) =>
        this.#told?.has(text),
      ),
    );
  }

  /** The same when the kernel has it, or was refused: default routes count if it has their rules. */
  follow(self: NetmapSelf | undefined): DestinationChange | undefined {
    return this.#change(self, this.#hasRules() ? Object.values(DEFAULT_ROUTES) : []);
  }

  #change(
    self: NetmapSelf | undefined,
    defaults: readonly string[],
  ): DestinationChange | undefined {
    // A delta that leaves our routes as they are leaves the object as it is.
    if (this.#of?.self === self && this.#of?.defaults === defaults.join()) return undefined;
    const wanted = destinationsOf(self, defaults);
    const records = new AllowedIpRecords();
    for (const [text, prefix] of this.#told ?? []) if (!wanted.has(text)) records.remove(prefix);
    for (const [text, prefix] of wanted) if (!this.#told?.has(text)) records.add(prefix);
    const isFirst = this.#told === undefined;
    this.#told = wanted;
    this.#of = { self, defaults: defaults.join() };
    return records.count === 0 && !isFirst ? undefined : { destinations: records.bytes() };
  }
}

function destinationsOf(
  self: NetmapSelf | undefined,
  defaults: readonly string[],
): ReadonlyMap<string, Prefix> {
  if (self === undefined) return new Map();
  const { ipv4, ipv6 } = self.mesh;
  const own = approvedPrefixes(self).filter((text) => {
    return !isDefaultRoute(text) || defaults.includes(text);
  });
  return new Map([ipv4, ipv6, ...own].map((text) => [text, parsePrefix(text)!]));
}
