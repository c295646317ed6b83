/**
 * The rules (ip-rule(8)) that lead to a tunnel's routing table; P is its first priority:
 *
 *   P      not fwmark M  lookup T  suppress_prefixlength 0   routes but the default
 *   P + 1                lookup main  suppress_prefixlength 0   with a default route only:
 *   P + 2  not fwmark M  lookup T                               all but main's default first
 *
 * The tunnel's own datagrams carry M and never see T: they cannot loop, whatever T contains. Where only
 * what this host forwards is to follow the default route, the rule at P + 2 begins with `not iif lo`
 * instead: what the host sends itself goes by the main table.
 *
 * A family that is closed has one more, which main's default does not get past, also when the tunnel's
 * interface is down. (An unreachable route in T would end the lookup of the first rule already.)
 *
 *   P + 3  not iif lo    unreachable                         with T, which makes it T's own
 *
 * Tunnels with the same P share the rule at P + 1.
 */
import type { Family } from './address.ts';
import { type PrefixKey, prefixKeyAt } from './prefix-key.ts';
import type { TableRoute } from './route-plan.ts';

export const FIRST_PRIORITY = 20_000;
export const MAIN_TABLE = 254;
const MAIN = 1;
const DEFAULT = 2;
const CLOSED = 3;
/** Priorities that one tunnel takes. */
export const PRIORITIES = 4;

export interface RoutingTable {
  readonly table: number;
  readonly mark: number;
  /** Of the first rule. */
  readonly priority: number;
  /** A default route is for what this host forwards, not for what it sends itself. */
  readonly forwardedOnly?: boolean;
}

export interface RoutingRule {
  readonly family: Family;
  readonly priority: number;
  readonly table: number;
  /** For packets without this mark; undefined = for all. */
  readonly unlessMark: number | undefined;
  /** For packets that this host has not sent itself. */
  readonly forwardedOnly: boolean;
  /** What the table's default route would answer is not taken (suppress_prefixlength 0). */
  readonly suppressDefault: boolean;
  /** Ends the lookup: there is no way. The table is a name, no more. */
  readonly refuses: boolean;
}

/** Two rules are the same if their texts are. */
export function ruleText(rule: RoutingRule): string {
  const { family, priority, table, unlessMark, forwardedOnly, suppressDefault, refuses } = rule;
  return [family, priority, table, unlessMark, forwardedOnly, suppressDefault, refuses].join(' ');
}

/** For a table with these entries, and families that are closed. */
export function rulesOf(
  target: RoutingTable,
  entries: ReadonlyMap<PrefixKey, TableRoute>,
  closed: readonly Family[],
): RoutingRule[] {
  const some = new Set<Family>(closed);
  for (const { family, kind } of entries.values()) {
    if (kind !== 'throw') some.add(family);
    // Of 100,000 entries the first few say it.
    if (some.size === 2) break;
  }
  const isWhole = (family: Family): boolean => {
    const entry = entries.get(prefixKeyAt(new Uint8Array(family === 4 ? 4 : 16), 0));
    return entry !== undefined && entry.kind !== 'throw';
  };
  return [...some].flatMap((family) =>
    rulesOfFamily(target, family, isWhole(family), closed.includes(family)),
  );
}

export function rulesOfFamily(
  { table, mark, priority, forwardedOnly = false }: RoutingTable,
  family: Family,
  whole: boolean,
  closed: boolean,
): RoutingRule[] {
  const base = { family, table, unlessMark: mark, forwardedOnly: false, refuses: false };
  const rules: RoutingRule[] = [{ ...base, priority, suppressDefault: true }];
  const byDevice = { ...base, unlessMark: undefined, forwardedOnly: true, suppressDefault: false };
  if (whole || closed) rules.push(mainRule(family, priority));
  if (whole) {
    const last = { ...base, suppressDefault: false };
    rules.push({ ...(forwardedOnly ? byDevice : last), priority: priority + DEFAULT });
  }
  if (closed) rules.push({ ...byDevice, refuses: true, priority: priority + CLOSED });
  return rules;
}

function mainRule(family: Family, priority: number): RoutingRule {
  return {
    family,
    priority: priority + MAIN,
    table: MAIN_TABLE,
    unlessMark: undefined,
    forwardedOnly: false,
    suppressDefault: true,
    refuses: false,
  };
}

/** Whether a rule, of those that tunnels made, is one that no other tunnel than ours has or needs. */
export function isOurs(
  rule: RoutingRule,
  { table }: Pick<RoutingTable, 'table'>,
  all: readonly RoutingRule[],
): boolean {
  if (rule.table !== MAIN_TABLE) return rule.table === table;
  const needing = [rule.priority - MAIN + DEFAULT, rule.priority - MAIN + CLOSED];
  return !all.some(
    (other) =>
      other.family === rule.family &&
      needing.includes(other.priority) &&
      other.table !== table &&
      other.table !== MAIN_TABLE,
  );
}
