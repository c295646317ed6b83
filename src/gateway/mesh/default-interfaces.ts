/**
 * How this host reaches the Internet: the interfaces of main's default routes, what is no part of the
 * Internet behind them, and how strict it is.
 */
import type { BreakoutFamily } from '../../control/breakout.ts';
import { formatPrefix, parsePrefix } from '../../routing/prefix.ts';
import { ipJson, type JsonObject, objectsOf, stringOf } from '../../tun/command.ts';
import { readSysctl } from '../../tun/sysctl.ts';

export type DefaultInterfaces = Readonly<Record<BreakoutFamily, readonly string[]>>;

export const NO_INTERFACES: DefaultInterfaces = { 4: [], 6: [] };

/** In order of their names. */
export async function readDefaultInterfaces(
  families: readonly BreakoutFamily[],
): Promise<DefaultInterfaces> {
  const read = async (family: BreakoutFamily): Promise<string[]> => {
    if (!families.includes(family)) return [];
    const routes = await ipJson([`-${family}`, 'route', 'show', 'default']);
    return [...new Set(routes.filter(isUnicast).flatMap(devicesOf))].sort();
  };
  const [ipv4, ipv6] = await Promise.all([read(4), read(6)]);
  return { 4: ipv4, 6: ipv6 };
}

/** Prefixes by family. */
export type PrivateNetworks = Readonly<Record<BreakoutFamily, readonly string[]>>;

export const NO_NETWORKS: PrivateNetworks = { 4: [], 6: [] };

/**
 * Routes that are asked for, never the whole table: of the Internet it may have very many. Those inside
 * RFC 1918, RFC 6598 and RFC 4193, whose owners do not expect the Internet; of IPv6 the link's own as well:
 * the hosts of a LAN have public addresses there, and a firewall in front of them.
 */
const PRIVATE: Readonly<Record<BreakoutFamily, readonly (readonly string[])[]>> = {
  4: ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10'].map((range) => [
    'root',
    range,
  ]),
  6: [
    ['root', 'fc00::/7'],
    ['proto', 'kernel'],
    ['proto', 'ra'],
  ],
};

/** Where the Internet is, and the networks that are behind the same interfaces and no part of it. */
export interface Exits {
  readonly interfaces: DefaultInterfaces;
  /**
   * Private ones that the main table has routes of their own to: the link itself, of a host with one
   * interface its LAN, and what lies behind other routers there.
   */
  readonly beside: PrivateNetworks;
}

export const NO_EXITS: Exits = { interfaces: NO_INTERFACES, beside: NO_NETWORKS };

/** All questions at the same time: until they are answered nothing is masqueraded. */
export async function readExits(families: readonly BreakoutFamily[]): Promise<Exits> {
  const read = async (family: BreakoutFamily): Promise<JsonObject[]> => {
    if (!families.includes(family)) return [];
    const asked = PRIVATE[family].map((which) =>
      ipJson([`-${family}`, 'route', 'show', 'table', 'main', ...which]),
    );
    return (await Promise.all(asked)).flat().filter(isUnicast);
  };
  const [interfaces, ipv4, ipv6] = await Promise.all([
    readDefaultInterfaces(families),
    read(4),
    read(6),
  ]);
  const prefixesOf = (routes: readonly JsonObject[], exits: readonly string[]): string[] => {
    const there = routes.filter((one) => devicesOf(one).some((device) => exits.includes(device)));
    const prefixes = there.flatMap((route) => parsePrefix(stringOf(route, 'dst') ?? '') ?? []);
    return [...new Set(prefixes.filter(({ length }) => length > 0).map(formatPrefix))].sort();
  };
  const beside = { 4: prefixesOf(ipv4, interfaces[4]), 6: prefixesOf(ipv6, interfaces[6]) };
  return { interfaces, beside };
}

function isUnicast(route: JsonObject): boolean {
  return (stringOf(route, 'type') ?? 'unicast') === 'unicast';
}

function devicesOf(route: JsonObject): string[] {
  return [route, ...objectsOf(route.nexthops)].flatMap((hop) => stringOf(hop, 'dev') ?? []);
}

/** Whether an interface that is made now filters by reverse path, strictly (rp_filter 1). */
export async function isReversePathStrict(): Promise<boolean> {
  const all = await readSysctl('net.ipv4.conf.all.rp_filter');
  const other = await readSysctl('net.ipv4.conf.default.rp_filter');
  return Math.max(Number(all), Number(other)) === 1;
}
