/**
 * Reads what the kernel has installed, part by part, in the shapes that are planned with
 * (routing/kernel-plan.ts). Only nftables takes a process of its own.
 */
import { type Family, formatAddress } from '../routing/address.ts';
import type { LinkState } from '../routing/kernel-plan.ts';
import { type PrefixKey, prefixKey } from '../routing/prefix-key.ts';
import type { LocalRoute, TableRoute } from '../routing/route-plan.ts';
import {
  isOurs,
  MAIN_TABLE,
  type RoutingRule,
  type RoutingTable,
} from '../routing/routing-rules.ts';
import { type RoutingUse, sharedUse } from '../routing/table-choice.ts';
import { tryCommand } from './command.ts';
import { KERNEL_PROTOCOL, ROUTE_PROTOCOL } from './route-numbers.ts';
import type { KernelRoute, KernelRule } from './route-reader.ts';
import type { RouteSocket } from './route-socket.ts';

const FAMILIES: readonly Family[] = [4, 6];
/** RT_TABLE_DEFAULT, MAIN, LOCAL and the unspecified one. */
const SYSTEM_TABLES = new Set([0, 253, MAIN_TABLE, 255]);

/** Undefined if there is no such interface. @param ours addresses that may be ours, others are left out */
export function readLink(
  socket: RouteSocket,
  interfaceName: string,
  ours: ReadonlySet<string>,
): (LinkState & { readonly index: number }) | undefined {
  const link = socket.readLinks().find(({ name }) => name === interfaceName);
  if (link === undefined) return undefined;
  const addresses = FAMILIES.flatMap((family) => socket.readAddresses(family))
    .filter(({ index }) => index === link.index)
    .map(({ address, length }) => `${formatAddress(address)}/${length}`)
    .filter((text) => ours.has(text));
  return { index: link.index, up: link.up, mtu: link.mtu, addresses: new Set(addresses) };
}

export interface InstalledTable {
  /** Ours, by key. */
  readonly routes: Map<PrefixKey, TableRoute>;
  /** Whether somebody else has routes in the same table. */
  readonly shared: boolean;
}

export function readTable(
  socket: RouteSocket,
  table: number,
  interfaceIndex: number,
): InstalledTable {
  const routes = new Map<PrefixKey, TableRoute>();
  let shared = false;
  for (const family of FAMILIES) {
    for (const route of socket.readRoutes(family, table)) {
      const { prefix, protocol, kind, mtu } = route;
      if (protocol !== ROUTE_PROTOCOL || kind === undefined) {
        // The kernel puts routes of its own into a table that a VRF or a link has: no business of ours.
        shared ||= protocol !== KERNEL_PROTOCOL;
        continue;
      }
      // One that leads elsewhere is none that is wanted: it is replaced.
      if (kind === 'unicast' && route.interfaceIndex !== interfaceIndex) continue;
      const entry: TableRoute = {
        ...prefix,
        ...(kind !== 'unicast' && { kind }),
        ...(mtu !== undefined && { mtu }),
      };
      routes.set(prefixKey(prefix), entry);
    }
  }
  return { routes, shared };
}

/** The main table without what leads into the given interface. */
export function readLocalRoutes(socket: RouteSocket, exceptInterface: string): LocalRoute[] {
  const names = new Map(socket.readLinks().map(({ index, name }) => [index, name]));
  return FAMILIES.flatMap((family) => socket.readRoutes(family, MAIN_TABLE)).flatMap((route) => {
    const { prefix, protocol, interfaceIndex } = route;
    const interfaceName = names.get(interfaceIndex) ?? '';
    // A default is what a tunnel takes over; fe80::/64 is on every interface and never routed.
    if (interfaceName === exceptInterface || prefix.length === 0 || isLinkLocal(route)) return [];
    return { prefix, connected: protocol === KERNEL_PROTOCOL, interfaceName };
  });
}

/** All rules of the host, of both families. */
export function readRules(socket: RouteSocket): KernelRule[] {
  return FAMILIES.flatMap((family) => socket.readRules(family));
}

/** Those that tunnels made. */
export function tunnelRules(rules: readonly KernelRule[]): RoutingRule[] {
  return rules.flatMap(({ protocol, rule }) =>
    protocol === ROUTE_PROTOCOL && rule !== undefined ? [rule] : [],
  );
}

/** What rules of others than tunnels use. */
export function useOfRules(rules: readonly KernelRule[]): RoutingUse {
  const foreign = rules.filter(({ protocol }) => protocol !== ROUTE_PROTOCOL);
  return {
    tables: new Set(foreign.map(({ table }) => table)),
    marks: new Set(foreign.flatMap(({ mark }) => mark ?? [])),
    priorities: new Set(foreign.map(({ priority }) => priority)),
  };
}

/** What others than tunnels use of this, in words. */
export function sharedWithOthers(
  target: RoutingTable,
  rules: readonly KernelRule[],
  { shared }: Pick<InstalledTable, 'shared'>,
): string | undefined {
  const use = useOfRules(rules);
  const tables = shared ? new Set([...use.tables, target.table]) : use.tables;
  return sharedUse(target, { ...use, tables });
}

/** What anybody uses, other tunnels included. */
export function readUse(socket: RouteSocket): RoutingUse {
  const rules = readRules(socket);
  const { priorities } = useOfRules(rules);
  const tables = new Set(rules.map(({ table }) => table));
  for (const family of FAMILIES) {
    for (const { table } of socket.readRoutes(family)) {
      if (!SYSTEM_TABLES.has(table)) tables.add(table);
    }
  }
  return { tables, marks: new Set(rules.flatMap(({ mark }) => mark ?? [])), priorities };
}

/** Takes away what tunnels put into a table, and the rules that lead there; others' stay. */
export async function clearTable(
  socket: RouteSocket,
  target: Pick<RoutingTable, 'table'>,
): Promise<void> {
  for (const rule of tunnelRules(readRules(socket))) {
    if (rule.table === target.table) socket.removeRule(rule);
  }
  // The one for the main table, if nobody needs it now.
  const rules = tunnelRules(readRules(socket));
  for (const rule of rules) if (isOurs(rule, target, rules)) socket.removeRule(rule);
  for (const family of FAMILIES) {
    const routes = socket
      .readRoutes(family, target.table)
      .filter(({ protocol }) => protocol === ROUTE_PROTOCOL)
      .map(({ prefix, kind }): TableRoute => (kind === 'throw' ? { ...prefix, kind } : prefix));
    await socket.removeRoutes(routes, target.table);
  }
}

/** A table of nftables as `nft` lists it, without counts; undefined if it, or `nft`, is not there. */
export async function listTable(name: string): Promise<string | undefined> {
  const listing = ['-s', 'list', 'table', 'inet', name];
  const { code, stdout } = await tryCommand('nft', listing).catch(() => ({ code: 1, stdout: '' }));
  return code === 0 ? stdout : undefined;
}

/** fe80::/10 */
function isLinkLocal({ prefix: { family, address } }: KernelRoute): boolean {
  return family === 6 && address[0] === 0xfe && (address[1]! & 0xc0) === 0x80;
}
