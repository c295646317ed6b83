/**
 * Which number a tunnel's routing table, and with it the mark of its datagrams, gets, and which
 * priorities its rules: those that nobody else on this host uses. Pure.
 */
import { FIRST_PRIORITY, PRIORITIES, type RoutingTable } from './routing-rules.ts';

const FIRST_TABLE = 52_000;
/** What a tunnel has where nobody is in its way. */
export const FIRST_CHOICE: RoutingTable = {
  table: FIRST_TABLE,
  mark: FIRST_TABLE,
  priority: FIRST_PRIORITY,
};

/** What others than our tunnel use. */
export interface RoutingUse {
  /** Tables that have routes, or that rules lead to. */
  readonly tables: ReadonlySet<number>;
  /** Marks that rules look at. */
  readonly marks: ReadonlySet<number>;
  /** Priorities of rules that no tunnel of ours made. */
  readonly priorities: ReadonlySet<number>;
}

/** @param mark the tunnel's own, if its operator chose one */
export function chooseTable(use: RoutingUse, mark?: number): RoutingTable {
  let table = FIRST_TABLE;
  while (use.tables.has(table) || (mark === undefined && use.marks.has(table))) table++;
  let priority = FIRST_PRIORITY;
  while (ownPriorities(priority).some((one) => use.priorities.has(one))) priority += PRIORITIES;
  return { table, mark: mark ?? table, priority };
}

/** What others use of what a tunnel has, in words; the mark only if the tunnel chose it itself. */
export function sharedUse(
  { table, mark, priority }: RoutingTable,
  use: RoutingUse,
): string | undefined {
  if (use.tables.has(table)) return `the routing table ${table}`;
  if (mark === table && use.marks.has(mark)) return `the mark ${mark}`;
  const taken = ownPriorities(priority).find((one) => use.priorities.has(one));
  return taken === undefined ? undefined : `the rule priority ${taken}`;
}

function ownPriorities(first: number): number[] {
  return Array.from({ length: PRIORITIES }, (_, i) => first + i);
}
