/** The addresses that a side of a rule stands for, once each, however many rules name them. */
import type { AddressOwners } from './address-owners.ts';
import { type AddressSet, ALL_ADDRESSES, addressesOf, unionOf } from './address-set.ts';
import type { Policy, Selector } from './policy.ts';

/** Equal selectors give the same object. */
export class Selection {
  readonly #policy: Pick<Policy, 'tags'>;
  readonly #owners: AddressOwners;
  readonly #known = new Map<string, AddressSet>();
  /** So that what a selector says is written out once, not for each flow that is looked at. */
  readonly #ofSelector = new WeakMap<Selector, AddressSet>();

  constructor(policy: Pick<Policy, 'tags'>, owners: AddressOwners) {
    this.#policy = policy;
    this.#owners = owners;
  }

  of(selector: Selector | null): AddressSet {
    if (selector === null) return ALL_ADDRESSES;
    let set = this.#ofSelector.get(selector);
    if (set === undefined) {
      set = this.#find(selector);
      this.#ofSelector.set(selector, set);
    }
    return set;
  }

  #find(selector: Selector): AddressSet {
    const key = JSON.stringify(selector);
    let set = this.#known.get(key);
    if (set === undefined) {
      const connectors = connectorsOf(this.#policy, selector);
      const sets = [...connectors].map((connector) => this.#owners.setOf(connector));
      if (selector.internet) sets.push(this.#owners.internet);
      set = unionOf([addressesOf(selector.prefixes), ...sets]);
      this.#known.set(key, set);
    }
    return set;
  }
}

/** Ids of the connectors that a selector names, by themselves or by a tag. */
export function connectorsOf(
  { tags }: Pick<Policy, 'tags'>,
  selector: Selector,
): ReadonlySet<string> {
  return new Set([...selector.connectors, ...selector.tags.flatMap((tag) => tags[tag] ?? [])]);
}
