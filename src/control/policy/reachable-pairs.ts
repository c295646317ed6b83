/**
 * Which connectors can have a flow between them at all, so that the relay forwards for no others. It
 * errs on the side of yes: a pair is refused only if no rule can ever allow a flow in either direction.
 *
 * Connectors that meet the same rules are one class; classes instead of connectors keep the work small.
 */
import type { AddressOwners } from './address-owners.ts';
import { type AddressSet, covers } from './address-set.ts';
import type { Policy, Selector } from './policy.ts';
import { Selection } from './selection.ts';

/** More classes are not looked at: everybody may reach everybody then, and the connectors enforce. */
export const MAX_CLASSES = 1_024;

export interface ReachablePairs {
  /** Class by connector id, from 0. */
  readonly classes: ReadonlyMap<string, number>;
  /** Row by class: classes that it may exchange messages with, as bits. Symmetric. */
  readonly rows: readonly Uint32Array[];
}

/** Undefined: everybody may reach everybody. */
export function reachablePairs(
  policy: Policy,
  owners: AddressOwners,
  connectors: Iterable<string>,
): ReachablePairs | undefined {
  const selection = new Selection(policy, owners);
  const rules = policy.rules.filter(({ action }) => action !== 'log');
  const marks = new Map([...connectors].map((connector) => [connector, [] as string[]]));
  /** Each set of addresses once, however many rules have it: the work is by set and connector. */
  const sides = new Map<AddressSet, number>();
  const sideOf = (selector: Selector | null): number => {
    const set = selection.of(selector);
    const side = sides.get(set) ?? sides.size;
    sides.set(set, side);
    return side;
  };
  const ends = rules.map(({ from, to }) => ({ from: sideOf(from), to: sideOf(to) }));
  for (const [set, side] of sides) {
    for (const connector of owners.touching(set)) {
      const whole = covers(set, owners.carriedBy(connector));
      marks.get(connector)?.push(whole ? `${side}!` : `${side}`);
    }
  }
  const sorted = Map.groupBy(marks, ([, own]) => own.join());
  if (sorted.size > MAX_CLASSES) return undefined;
  const classes = [...sorted.values()];
  /** Classes with some, and with all, of their addresses on a side. */
  const some = Array.from(sides, (): number[] => []);
  const whole = Array.from(sides, (): number[] => []);
  for (const [at, [first]] of classes.entries()) {
    for (const mark of first![1]) {
      const side = Number.parseInt(mark, 10);
      some[side]!.push(at);
      if (mark.endsWith('!')) whole[side]!.push(at);
    }
  }
  const words = Math.ceil(classes.length / 32);
  const all = Array.from({ length: classes.length }, (_, i) => i);
  const rowOf = (members: readonly number[]): Uint32Array => {
    const row = new Uint32Array(words);
    for (const at of members) row[at >>> 5]! |= 1 << (at & 31);
    return row;
  };
  /** Classes that a flow from this one may still be decided for, and those that it is allowed for. */
  const open = all.map(() => rowOf(all));
  const allowed = all.map(() => new Uint32Array(words));
  for (const [i, rule] of rules.entries()) {
    const { from: source, to: destination } = ends[i]!;
    if (rule.action === 'allow') {
      const to = rowOf(some[destination]!);
      for (const from of some[source]!) add(allowed[from]!, open[from]!, to);
    } else if (rule.protocols.length === 0) {
      const to = rowOf(whole[destination]!);
      for (const from of whole[source]!) remove(open[from]!, to);
    }
  }
  const everybody = rowOf(all);
  if (policy.default === 'allow') for (const at of all) add(allowed[at]!, open[at]!, everybody);
  const rows = all.map((at) => {
    const row = allowed[at]!.slice();
    for (const other of all)
      if (hasBit(allowed[other]!, at)) row[other >>> 5]! |= 1 << (other & 31);
    return row;
  });
  if (rows.every((row) => row.every((word, i) => word === everybody[i]))) return undefined;
  const byConnector = classes.flatMap((members, at) => members.map(([id]) => [id, at] as const));
  return { classes: new Map(byConnector), rows };
}

export function hasBit(row: Uint32Array, at: number): boolean {
  return ((row[at >>> 5]! >>> (at & 31)) & 1) === 1;
}

function add(into: Uint32Array, open: Uint32Array, set: Uint32Array): void {
  for (let i = 0; i < into.length; i++) into[i]! |= open[i]! & set[i]!;
}

function remove(from: Uint32Array, set: Uint32Array): void {
  for (let i = 0; i < from.length; i++) from[i]! &= ~set[i]!;
}
