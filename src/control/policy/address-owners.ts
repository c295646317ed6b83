/**
 * Whose an address is: the connectors that have the longest prefix around it, as routing has it. Of a
 * prefix that several connectors have, whatever their priorities, it is all of theirs: a change-over
 * from one to the other changes no verdict.
 *
 * What no connector has is the Internet. A default route makes it nobody's: it makes its connector one of
 * those that carry packets from and to there (breakout.ts).
 */
import { parsePrefix } from '../../routing/prefix.ts';
import {
  type AddressRange,
  type AddressSet,
  complementOf,
  FAMILIES,
  type Family,
  firstEndingAt,
  intersectsIn,
  merge,
  NO_ADDRESSES,
  type NumericAddress,
  rangeOf,
  unionOf,
} from './address-set.ts';

export interface AddressHolder {
  readonly connector: string;
  /** Canonical, mesh IPs included. */
  readonly prefixes: readonly string[];
}

interface Held extends AddressRange {
  readonly connectors: readonly string[];
}

export class AddressOwners {
  /** Disjoint, in order. */
  readonly #held: Readonly<Record<Family, readonly Held[]>>;
  readonly #sets = new Map<string, AddressSet>();
  /** Connectors with a default route. */
  readonly #waysOut: Readonly<Record<Family, Set<string>>> = { 4: new Set(), 6: new Set() };
  /** All addresses that are no connector's. */
  readonly internet: AddressSet;

  constructor(holders: Iterable<AddressHolder>) {
    const byPrefix: Record<Family, Map<string, AddressRange & { connectors: string[] }>> = {
      4: new Map(),
      6: new Map(),
    };
    for (const { connector, prefixes } of holders) {
      for (const text of prefixes) {
        const prefix = parsePrefix(text);
        if (prefix === undefined) continue;
        if (prefix.length === 0) {
          this.#waysOut[prefix.family].add(connector);
          continue;
        }
        const known = byPrefix[prefix.family].get(text);
        if (known === undefined) {
          byPrefix[prefix.family].set(text, { ...rangeOf(prefix), connectors: [connector] });
        } else if (!known.connectors.includes(connector)) known.connectors.push(connector);
      }
    }
    this.#held = { 4: flatten([...byPrefix[4].values()]), 6: flatten([...byPrefix[6].values()]) };
    this.internet = complementOf(this.#held);
  }

  /** Connectors whose the address is; none outside of all prefixes. */
  ownersOf({ family, value }: NumericAddress): readonly string[] {
    const held = this.#held[family];
    const found = held[firstEndingAt(held, value)];
    return found !== undefined && found.first <= value ? found.connectors : [];
  }

  /** Connectors that packets from or to an address go through. */
  carriersOf(address: NumericAddress): readonly string[] {
    const owners = this.ownersOf(address);
    return owners.length > 0 ? owners : [...this.#waysOut[address.family]];
  }

  /** Connectors that carry packets from or to an address in the set. */
  touching(set: AddressSet): ReadonlySet<string> {
    const found = new Set<string>();
    for (const family of FAMILIES) {
      const held = this.#held[family];
      for (const { first, last } of set[family]) {
        for (let i = firstEndingAt(held, first); i < held.length; i++) {
          if (held[i]!.first > last) break;
          for (const connector of held[i]!.connectors) found.add(connector);
        }
      }
      if (this.#waysOut[family].size > 0 && intersectsIn(family, set, this.internet)) {
        for (const connector of this.#waysOut[family]) found.add(connector);
      }
    }
    return found;
  }

  /** All addresses of a connector. */
  setOf(connector: string): AddressSet {
    if (this.#sets.size === 0) this.#collect();
    return this.#sets.get(connector) ?? NO_ADDRESSES;
  }

  /** All addresses that a connector carries packets from or to: its own, and the Internet's if it is a way out. */
  carriedBy(connector: string): AddressSet {
    const own = this.setOf(connector);
    const { 4: ipv4, 6: ipv6 } = this.internet;
    const out = (family: Family): boolean => this.#waysOut[family].has(connector);
    if (!out(4) && !out(6)) return own;
    return unionOf([own, { 4: out(4) ? ipv4 : [], 6: out(6) ? ipv6 : [] }]);
  }

  #collect(): void {
    const ranges = new Map<string, Record<Family, AddressRange[]>>();
    for (const family of [4, 6] as const) {
      for (const { first, last, connectors } of this.#held[family]) {
        for (const connector of connectors) {
          let own = ranges.get(connector);
          if (own === undefined) {
            own = { 4: [], 6: [] };
            ranges.set(connector, own);
          }
          own[family].push({ first, last });
        }
      }
    }
    for (const [connector, own] of ranges) {
      this.#sets.set(connector, { 4: merge(own[4]), 6: merge(own[6]) });
    }
  }
}

/** Prefixes lie inside one another or apart: what is left of each without those inside it. */
function flatten(prefixes: Held[]): Held[] {
  const outerFirst = (a: Held, b: Held): number => {
    if (a.first !== b.first) return a.first < b.first ? -1 : 1;
    return a.last > b.last ? -1 : 1;
  };
  const flat: Held[] = [];
  const around: Held[] = [];
  /** Up to where everything is told. */
  let next = 0n;
  const tell = (until: bigint, connectors: readonly string[]): void => {
    if (until >= next) flat.push({ first: next, last: until, connectors });
    next = until + 1n;
  };
  const leaveBefore = (first: bigint | undefined): void => {
    for (let inner = around.at(-1); inner !== undefined; inner = around.at(-1)) {
      if (first !== undefined && inner.last >= first) return;
      around.pop();
      tell(inner.last, inner.connectors);
    }
  };
  for (const prefix of prefixes.sort(outerFirst)) {
    leaveBefore(prefix.first);
    const outer = around.at(-1);
    if (outer !== undefined && prefix.first > next) tell(prefix.first - 1n, outer.connectors);
    next = prefix.first;
    around.push(prefix);
  }
  leaveBefore(undefined);
  return flat;
}
