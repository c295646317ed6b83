/**
 * Rules that can never decide, because one before them decides all that they match. Told from what the
 * rules say, not from today's addresses: a connector without a prefix yet makes no rule useless.
 */
import { type AddressSet, addressesOf, covers, isEmpty } from './address-set.ts';
import { CoveringRules, type Side as IndexedSide } from './covering-rules.ts';
import type { Policy, Rule, Selector } from './policy.ts';
import { connectorsOf } from './selection.ts';
import type { PortRange } from './services.ts';

interface Side extends IndexedSide {
  readonly addresses: AddressSet;
}

export interface Shadow {
  /** Numbers, from 1. */
  readonly rule: number;
  readonly by: number;
}

/** The first rule that one before it hides; undefined if there is none. */
export function shadowedRule(policy: Policy): Shadow | undefined {
  const sides = new Map<string, Side>();
  const sideOf = (selector: Selector | null): Side | null => {
    if (selector === null) return null;
    const key = JSON.stringify(selector);
    let side = sides.get(key);
    if (side === undefined) {
      const connectors = new Set(connectorsOf(policy, selector));
      // Disjoint from every connector, as they are from each other.
      if (selector.internet) connectors.add('internet');
      const { prefixes } = selector;
      side = { id: sides.size, connectors, prefixes, addresses: addressesOf(prefixes) };
      sides.set(key, side);
    }
    return side;
  };
  const seen = policy.rules.map((rule) => {
    return { rule, from: sideOf(rule.from), to: sideOf(rule.to) };
  });
  const before = new CoveringRules();
  for (const [i, later] of seen.entries()) {
    const { rule, from, to } = later;
    let by = Number.POSITIVE_INFINITY;
    for (const k of before.candidates(from, to, rule.ports)) {
      const earlier = seen[k]!;
      if (k >= by || !coversService(earlier.rule, rule)) continue;
      if (coversSide(earlier.from, from) && coversSide(earlier.to, to)) by = k;
    }
    if (Number.isFinite(by)) return { rule: i + 1, by: by + 1 };
    // It decides nothing, and so hides nothing.
    if (rule.action !== 'log') before.add(i, from, to, rule.ports);
  }
  return undefined;
}

function coversSide(outer: Side | null, inner: Side | null): boolean {
  if (outer === null || outer === inner) return true;
  if (inner === null || isNobody(inner)) return false;
  const { connectors, addresses } = outer;
  return (
    [...inner.connectors].every((id) => connectors.has(id)) && covers(addresses, inner.addresses)
  );
}

/** A tag without members: whoever is added to it later makes the rule one that decides. */
function isNobody({ connectors, addresses }: Side): boolean {
  return connectors.size === 0 && isEmpty(addresses);
}

function coversService(outer: Rule, inner: Rule): boolean {
  return (
    coversList(outer.protocols, inner.protocols) &&
    coversPorts(outer.ports, inner.ports) &&
    coversList(outer.icmp, inner.icmp)
  );
}

/** Empty = everything. */
function coversList<T>(outer: readonly T[], inner: readonly T[]): boolean {
  if (outer.length === 0) return true;
  return inner.length > 0 && inner.every((one) => outer.includes(one));
}

function coversPorts(outer: readonly PortRange[], inner: readonly PortRange[]): boolean {
  if (outer.length === 0) return true;
  const within = ([first, last]: PortRange): boolean =>
    outer.some(([from, to]) => from <= first && last <= to);
  return inner.length > 0 && inner.every(within);
}
