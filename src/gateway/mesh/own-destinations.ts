/**
 * What packets out of the mesh may be for: this gateway's mesh IPs and the approved prefixes of its
 * site. Anything else would make it a router for its peers, into networks that it only happens to
 * reach. A default route counts as long as the kernel has the rules that go with it.
 */
import { isDefaultRoute } from '../../control/breakout.ts';
import type { NetmapSelf } from '../../control/netmap.ts';
import { type Prefix, parsePrefix } from '../../routing/prefix.ts';
import type { DeviceChange } from '../../wireguard/configuration.ts';
import { AllowedIpRecords } from '../allowed-ip-records.ts';
import { approvedPrefixes } from './breakout-tables.ts';

type DestinationChange = Pick<DeviceChange, 'destinations'>;

/** What a netmap says of us. */
interface Own {
  /** What it was taken from. */
  readonly self: NetmapSelf | undefined;
  /** Mesh IPs and approved prefixes by their text, but for default routes. */
  readonly prefixes: ReadonlyMap<string, Prefix>;
  /** Default routes that are approved. */
  readonly defaults: readonly string[];
}

const NOTHING: Own = { self: undefined, prefixes: new Map(), defaults: [] };

export class OwnDestinations {
  readonly #hasRules: () => boolean;
  #own = NOTHING;
  /** Default routes that the data plane has; undefined = it was told nothing yet. */
  #open: readonly string[] | undefined;

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
    return this.#change(self, (text) => this.#open?.includes(text) === true);
  }

  /** The same when the kernel has it, or was refused: default routes count if it has their rules. */
  follow(self: NetmapSelf | undefined): DestinationChange | undefined {
    return this.#change(self, this.#hasRules);
  }

  #change(
    self: NetmapSelf | undefined,
    isOpen: (defaultRoute: string) => boolean,
  ): DestinationChange | undefined {
    const before = this.#own;
    const opened = this.#open;
    const records = new AllowedIpRecords();
    // A delta that leaves our routes as they are leaves the object as it is: of 100,000 none is looked at.
    if (self !== before.self) {
      this.#own = self === undefined ? NOTHING : ownOf(self, before);
      const { prefixes } = this.#own;
      for (const [text, prefix] of before.prefixes) if (!prefixes.has(text)) records.remove(prefix);
      for (const [text, prefix] of prefixes) if (!before.prefixes.has(text)) records.add(prefix);
    }
    const open = this.#own.defaults.filter(isOpen);
    this.#open = open;
    for (const text of opened ?? []) if (!open.includes(text)) records.remove(parsePrefix(text)!);
    for (const text of open) if (!opened?.includes(text)) records.add(parsePrefix(text)!);
    return records.count === 0 && opened !== undefined
      ? undefined
      : { destinations: records.bytes() };
  }
}

/** @param before prefixes that were there as well are not read again */
function ownOf(self: NetmapSelf, before: Own): Own {
  const { ipv4, ipv6 } = self.mesh;
  const approved = approvedPrefixes(self);
  const texts = [ipv4, ipv6, ...approved.filter((text) => !isDefaultRoute(text))];
  const prefixes = new Map(
    texts.map((text) => [text, before.prefixes.get(text) ?? parsePrefix(text)!]),
  );
  return { self, prefixes, defaults: approved.filter(isDefaultRoute) };
}
