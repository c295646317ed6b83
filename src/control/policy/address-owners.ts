/**
 * Whose an address is: the connectors that have the longest prefix around it, as routing has it. Of a
 * prefix that several connectors have, whatever their priorities, it is all of theirs: a change-over
 * from one to the other changes no verdict.
 */
import { parsePrefix } from '../../routing/prefix.ts';
import {
  type AddressRange,
  type AddressSet,
  FAMILIES,
  type Family,
  firstEndingAt,
  merge,
  NO_ADDRESSES,
  type NumericAddress,
  rangeOf,
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

  constructor(holders: Iterable<AddressHolder>) {
    const byPrefix: Record<Family, Map<string, AddressRange & { connectors: string[] }>> = {
      4: new Map(),
      6: new Map(),
    };
    for (const { connector, prefixes } of holders) {
      for (const text of prefixes) {
        const prefix = parsePrefix(text);
        if (prefix === undefined) continue;
        const known = byPrefix[prefix.family].get(text);
        if (known === undefined) {
          byPrefix[prefix.family].set(text, { ...rangeOf(prefix), connectors: [connector] });
        } else if (!known.connectors.includes(connector)) known.connectors.push(connector);
      }
    }
    this.#held = { 4: flatten([...byPrefix[4].values()]), 6: flatten([...byPrefix[6].values()]) };
  }

  /** Connectors whose the address is; none outside of all prefixes. */
  ownersOf({ family, value }: NumericAddress): readonly string[] {
    const held = this.#held[family];
    const found = held[firstEndingAt(held, value)];
    return found !== undefined && found.first <= value ? found.connectors : [];
  }

  /** Connectors that have an address in the set. */
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
    }
    return found;
  }

  /** All addresses of a connector. */
  setOf(connector: string): AddressSet {
    if (this.#sets.size === 0) this.#collect();
    return this.#sets.get(connector) ?? NO_ADDRESSES;
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
