/**
 * What is to be changed so that the kernel has what a gateway needs: two values of one shape, what is
 * desired and what is installed, and the changes that make the one into the other. Pure.
 *
 * The changes are in an order in which each prefix of them leaves a network that works: settings and
 * filters before the routes that need them, a route before the rule that makes it seen, a new route
 * before the old one goes. Whatever was applied of them, planning again from what is installed then
 * leads to the same end; for what is installed already there is nothing to do.
 */
import type { PrefixKey } from './prefix-key.ts';
import type { TableRoute } from './route-plan.ts';
import { isOurs, type RoutingRule, ruleText } from './routing-rules.ts';

export interface LinkState {
  readonly up: boolean;
  readonly mtu: number;
  /** As `ADDRESS/LENGTH`; of the installed ones those that are ours. */
  readonly addresses: ReadonlySet<string>;
}

export interface KernelState {
  readonly link: LinkState;
  /** Of our table. */
  readonly routes: ReadonlyMap<PrefixKey, TableRoute>;
  /** Of those installed, all that tunnels have made. */
  readonly rules: readonly RoutingRule[];
  /** Versions of nftables tables by name: any text that differs when the table does. */
  readonly tables: ReadonlyMap<string, string>;
  /** Values of kernel settings by name; of those installed, no others than were ever desired. */
  readonly settings: ReadonlyMap<string, string>;
}

export type KernelChange =
  | { readonly kind: 'set'; readonly setting: string; readonly value: string }
  /** It is desired no more: it gets the value that it had before us. */
  | { readonly kind: 'release'; readonly setting: string }
  | { readonly kind: 'add-address' | 'remove-address'; readonly address: string }
  | { readonly kind: 'link'; readonly mtu: number }
  | { readonly kind: 'put-table' | 'remove-table'; readonly name: string }
  /** Instead of one for the same prefix, if there is one. */
  | { readonly kind: 'put-routes'; readonly routes: readonly TableRoute[] }
  | { readonly kind: 'remove-routes'; readonly routes: readonly TableRoute[] }
  | { readonly kind: 'add-rule' | 'remove-rule'; readonly rule: RoutingRule };

/**
 * @param table number of our routing table
 * @param touched keys of the routes that may differ; undefined = any
 */
export function planKernel(
  desired: KernelState,
  installed: KernelState,
  table: number,
  touched?: ReadonlySet<PrefixKey>,
): KernelChange[] {
  const changes: KernelChange[] = [];
  for (const [setting, value] of desired.settings) {
    if (installed.settings.get(setting) !== value) changes.push({ kind: 'set', setting, value });
  }
  for (const address of desired.link.addresses) {
    if (!installed.link.addresses.has(address)) changes.push({ kind: 'add-address', address });
  }
  const { mtu, up } = desired.link;
  if (installed.link.mtu !== mtu || (up && !installed.link.up)) changes.push({ kind: 'link', mtu });
  for (const [name, version] of desired.tables) {
    if (installed.tables.get(name) !== version) changes.push({ kind: 'put-table', name });
  }
  const { put, removed } = compareRoutes(desired.routes, installed.routes, touched);
  if (put.length > 0) changes.push({ kind: 'put-routes', routes: put });
  const wanted = new Set(desired.rules.map(ruleText));
  const present = new Set(installed.rules.map(ruleText));
  for (const rule of desired.rules) {
    if (!present.has(ruleText(rule))) changes.push({ kind: 'add-rule', rule });
  }
  for (const rule of installed.rules) {
    if (wanted.has(ruleText(rule)) || !isOurs(rule, { table }, installed.rules)) continue;
    changes.push({ kind: 'remove-rule', rule });
  }
  if (removed.length > 0) changes.push({ kind: 'remove-routes', routes: removed });
  for (const name of installed.tables.keys()) {
    if (!desired.tables.has(name)) changes.push({ kind: 'remove-table', name });
  }
  for (const address of installed.link.addresses) {
    if (!desired.link.addresses.has(address)) changes.push({ kind: 'remove-address', address });
  }
  // The last first: some change others when they are set.
  for (const setting of [...installed.settings.keys()].toReversed()) {
    if (!desired.settings.has(setting)) changes.push({ kind: 'release', setting });
  }
  return changes;
}

/** Exceptions come first: what is to stay local never goes by a wider route. */
function compareRoutes(
  desired: KernelState['routes'],
  installed: KernelState['routes'],
  touched: ReadonlySet<PrefixKey> | undefined,
): { readonly put: readonly TableRoute[]; readonly removed: readonly TableRoute[] } {
  const staying: TableRoute[] = [];
  const routing: TableRoute[] = [];
  const removed: TableRoute[] = [];
  const compare = (key: PrefixKey): void => {
    const wanted = desired.get(key);
    const there = installed.get(key);
    if (wanted === there) return;
    if (wanted === undefined) removed.push(there!);
    else if (!sameRoute(wanted, there))
      (wanted.kind === undefined ? routing : staying).push(wanted);
  };
  if (touched !== undefined) {
    for (const key of touched) compare(key);
  } else {
    for (const key of desired.keys()) compare(key);
    for (const [key, there] of installed) if (!desired.has(key)) removed.push(there);
  }
  // An exception goes after the routes that it was one of.
  removed.sort((a, b) => Number(a.kind !== undefined) - Number(b.kind !== undefined));
  return { put: [...staying, ...routing], removed };
}

function sameRoute(a: TableRoute, b: TableRoute | undefined): boolean {
  return b !== undefined && a.kind === b.kind && a.mtu === b.mtu;
}

/**
 * What changes that put something back say of what was lost, in words.
 *
 * @param wasMissing whether a table of nftables could not be put in place before
 */
export function describeLosses(
  changes: readonly KernelChange[],
  wasMissing: (table: string) => boolean,
): string[] {
  return changes.flatMap((change) => {
    switch (change.kind) {
      case 'set':
        return `the setting ${change.setting}`;
      case 'add-address':
        return `the address ${change.address}`;
      case 'link':
        return "the interface's MTU, or that it is up";
      case 'put-table':
        return wasMissing(change.name) ? [] : `the nftables table ${change.name}`;
      case 'put-routes':
        return `${change.routes.length} routes`;
      case 'add-rule':
        return `the rule ${change.rule.priority} of IPv${change.rule.family}`;
      default:
        return [];
    }
  });
}
