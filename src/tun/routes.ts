/**
 * A tunnel's routes in a routing table of its own, and the rules (ip-rule(8)) that lead there:
 *
 *   RULE_SPECIFIC  not fwmark M  lookup T  suppress_prefixlength 0   routes but the default
 *   RULE_MAIN                    lookup main  suppress_prefixlength 0   with a default route only:
 *   RULE_DEFAULT   not fwmark M  lookup T                               all but main's default first
 *
 * The tunnel's own datagrams carry M and never see T: they cannot loop, whatever T contains. Where only
 * what this host forwards is to follow the default route, RULE_DEFAULT begins with `not iif lo` instead:
 * what the host sends itself goes by the main table.
 *
 * A family that is closed has one more, which main's default does not get past, also when the tunnel's
 * interface is down. (An unreachable route in T would end the lookup of RULE_SPECIFIC already.)
 *
 *   RULE_CLOSED    not iif lo    unreachable                         with T, which makes it T's own
 * Everything made here has protocol `ROUTE_PROTOCOL`, by which it is found again.
 */
import { formatPrefix, type Prefix, parsePrefix } from '../routing/prefix.ts';
import { ipBatch, ipBatchForced, ipJson, numberOf, stringOf } from './command.ts';
import type { LocalRoute, RoutePlan, WantedRoute } from './route-plan.ts';

/** Nobody's in iproute2's list of routing protocols. */
export const ROUTE_PROTOCOL = 167;
export const RULE_SPECIFIC = 20_000;
export const RULE_MAIN = 20_001;
export const RULE_DEFAULT = 20_002;
export const RULE_CLOSED = 20_003;
const FIRST_TABLE = 52_000;

const FAMILIES = [4, 6] as const;

export interface RouteTable {
  readonly interfaceName: string;
  /** Number of the table; in the main case also the mark. */
  readonly table: number;
  readonly mark: number;
  /** A default route is for what this host forwards, not for what it sends itself. */
  readonly forwardedOnly?: boolean;
}

/** The routes of the main table, without those that lead into the given interface. */
export async function readLocalRoutes(exceptInterface: string): Promise<LocalRoute[]> {
  const routes: LocalRoute[] = [];
  for (const family of FAMILIES) {
    for (const entry of await ipJson([`-${family}`, 'route', 'show', 'table', 'main'])) {
      const interfaceName = stringOf(entry, 'dev') ?? '';
      if (interfaceName === exceptInterface) continue;
      const prefix = parsePrefix(stringOf(entry, 'dst') ?? '');
      // "default" is no prefix and not wanted; fe80::/64 is on every interface and never routed.
      if (prefix === undefined || isLinkLocal(prefix)) continue;
      const connected = stringOf(entry, 'protocol') === 'kernel';
      routes.push({ prefix, connected, interfaceName });
    }
  }
  return routes;
}

/**
 * A table number that no rule names and no route is in; to be used as a mark as well.
 *
 * @param taken numbers that others will use
 */
export async function chooseTable(taken: readonly number[] = []): Promise<number> {
  const used = new Set(taken);
  for (const family of FAMILIES) {
    for (const entry of await ipJson([`-${family}`, 'rule', 'show'])) {
      used.add(Number(stringOf(entry, 'table')));
      used.add(Number(stringOf(entry, 'fwmark')?.split('/')[0]));
    }
  }
  for (let table = FIRST_TABLE; ; table++) {
    if (used.has(table)) continue;
    const found = await Promise.all(
      FAMILIES.map((family) => ipJson([`-${family}`, 'route', 'show', 'table', String(table)])),
    );
    if (found.every((routes) => routes.length === 0)) return table;
  }
}

/**
 * Installs the plan: first the routes, then the rules that make them seen. May be called again with
 * another plan: what is not in it any more is taken away. What is refused does not keep the rest from
 * being installed.
 *
 * @param before what is installed
 * @param partial what may be installed in part, because an attempt failed; `before` is undefined then
 * @throws CausewayError PERMISSION, COMMAND_FAILED, COMMAND_MISSING: the first that was refused
 */
export async function installRoutes(
  target: RouteTable,
  plan: RoutePlan,
  before?: RoutePlan,
  partial: RoutePlan | undefined = before,
): Promise<void> {
  const refused: unknown[] = [];
  const unlessThere = (error: unknown): void => {
    // From an attempt that failed later on: nobody else's rule has our table and mark.
    if (!/File exists/.test((error as Error).message)) refused.push(error);
  };
  for (const family of FAMILIES) {
    const lines = routeLines(target, plan, family);
    const kept = new Set(lines);
    const added = new Set(before === undefined ? [] : routeLines(target, before, family));
    const old = partial === undefined ? [] : routeLines(target, partial, family);
    // One that is wanted with another MTU is replaced, not deleted: it is never missing.
    const keptPrefixes = new Set(lines.map(destinationOf));
    await ipBatchForced(
      family,
      old
        .filter((line) => !kept.has(line) && !keptPrefixes.has(destinationOf(line)))
        .map((line) => `route del ${line}`),
    );
    // `replace`, so that a route which is there already is no error.
    const missing = lines.filter((line) => !added.has(line)).map((line) => `route replace ${line}`);
    await ipBatch(family, missing).catch(async (error: unknown) => {
      refused.push(error);
      // It stopped at the line that was refused.
      await ipBatchForced(family, missing);
    });
    const wanted = ruleLines(target, plan, family);
    const present = before === undefined ? [] : ruleLines(target, before, family);
    for (const rule of wanted) {
      if (present.includes(rule)) continue;
      // Several tunnels share RULE_MAIN; the kernel refuses the second of two equal rules.
      if (rule.startsWith(`pref ${RULE_MAIN} `)) await ipBatchForced(family, [`rule add ${rule}`]);
      else await ipBatch(family, [`rule add ${rule}`]).catch(unlessThere);
    }
    const stale = partial === undefined ? [] : ruleLines(target, partial, family);
    await ipBatchForced(
      family,
      stale.filter((rule) => !wanted.includes(rule)).map((rule) => `rule del ${rule}`),
    );
  }
  if (refused.length > 0) throw refused[0];
}

/** Takes away the rules and routes of a table, known or left behind; keeps quiet where none are. */
export async function removeRoutes(target: Omit<RouteTable, 'interfaceName'>): Promise<void> {
  for (const family of FAMILIES) {
    await ipBatchForced(family, [
      `rule del ${ruleOf(RULE_SPECIFIC, target)}`,
      `rule del ${ruleOf(RULE_DEFAULT, { ...target, forwardedOnly: false })}`,
      `rule del ${ruleOf(RULE_DEFAULT, { ...target, forwardedOnly: true })}`,
      `rule del ${closedRule(target)}`,
      `route flush table ${target.table} proto ${ROUTE_PROTOCOL}`,
    ]);
    const rules = await ipJson([`-${family}`, 'rule', 'show']);
    const needed = rules.some((rule) => {
      const priority = numberOf(rule, 'priority');
      return priority === RULE_DEFAULT || priority === RULE_CLOSED;
    });
    if (!needed) await ipBatchForced(family, [`rule del ${MAIN_RULE}`]);
  }
}

/** Routes into a table that the operator chose (`Table = N`): no rules, no exceptions. */
export async function installPlainRoutes(
  interfaceName: string,
  table: string,
  prefixes: readonly Prefix[],
): Promise<void> {
  for (const family of FAMILIES) {
    const lines = prefixes
      .filter((prefix) => prefix.family === family)
      .map((prefix) => {
        const to = formatPrefix(prefix);
        return `route replace ${to} dev ${interfaceName} table ${table} proto ${ROUTE_PROTOCOL}`;
      });
    await ipBatch(family, lines);
  }
}

const MAIN_RULE = `pref ${RULE_MAIN} table main suppress_prefixlength 0 protocol ${ROUTE_PROTOCOL}`;

function ruleOf(
  priority: number,
  { table, mark, forwardedOnly = false }: Omit<RouteTable, 'interfaceName'>,
): string {
  const suppress = priority === RULE_SPECIFIC ? ' suppress_prefixlength 0' : '';
  const isForwarded = forwardedOnly && priority === RULE_DEFAULT;
  const to = `not ${isForwarded ? 'iif lo' : `fwmark ${mark}`} table ${table}${suppress}`;
  return `pref ${priority} ${to} protocol ${ROUTE_PROTOCOL}`;
}

function ruleLines(target: RouteTable, plan: RoutePlan, family: 4 | 6): string[] {
  const own = plan.routes.filter((prefix) => prefix.family === family);
  const closed = plan.closed?.includes(family) === true;
  if (own.length === 0 && !closed) return [];
  const lines = [ruleOf(RULE_SPECIFIC, target)];
  const whole = own.some((prefix) => prefix.length === 0);
  if (closed || whole) lines.push(MAIN_RULE);
  if (whole) lines.push(ruleOf(RULE_DEFAULT, target));
  if (closed) lines.push(closedRule(target));
  return lines;
}

function closedRule({ table }: Pick<RouteTable, 'table'>): string {
  return `pref ${RULE_CLOSED} not iif lo table ${table} unreachable protocol ${ROUTE_PROTOCOL}`;
}

function routeLines(
  { interfaceName, table }: RouteTable,
  plan: RoutePlan,
  family: 4 | 6,
): string[] {
  const tail = `table ${table} proto ${ROUTE_PROTOCOL}`;
  const ofFamily = (prefix: Prefix): boolean => prefix.family === family;
  return [
    ...plan.throws.filter(ofFamily).map((prefix) => `throw ${formatPrefix(prefix)} ${tail}`),
    ...plan.routes
      .filter(ofFamily)
      .map((route) => `${formatPrefix(route)} dev ${interfaceName} ${tail}${metricsOf(route)}`),
  ];
}

function metricsOf({ mtu }: WantedRoute): string {
  return mtu === undefined ? '' : ` mtu ${mtu}`;
}

/** `10.0.0.0/8`, also of a throw entry, which is beside a route of the same prefix in no plan. */
function destinationOf(line: string): string {
  return line.slice(0, line.indexOf(' ', line.startsWith('throw ') ? 6 : 0)).replace('throw ', '');
}

/** fe80::/10 */
function isLinkLocal({ family, address }: Prefix): boolean {
  return family === 6 && address[0] === 0xfe && (address[1]! & 0xc0) === 0x80;
}
