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
  const found: Record<BreakoutFamily, readonly string[]> = { 4: [], 6: [] };
  for (const family of families) {
    const routes = await ipJson([`-${family}`, 'route', 'show', 'default']);
    found[family] = [...new Set(routes.filter(isUnicast).flatMap(devicesOf))].sort();
  }
  return found;
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

/**
 * Networks behind the same interfaces as the Internet that the main table has routes of their own to, and
 * that are private: the link itself, of a host with one interface its LAN, and what lies behind other
 * routers there.
 */
export async function readPrivateNetworks(exits: DefaultInterfaces): Promise<PrivateNetworks> {
  const read = async (family: BreakoutFamily): Promise<string[]> => {
    if (exits[family].length === 0) return [];
    const asked = PRIVATE[family].map((which) =>
      ipJson([`-${family}`, 'route', 'show', 'table', 'main', ...which]),
    );
    const routes = (await Promise.all(asked)).flat().filter(isUnicast);
    const there = routes.filter((one) => devicesOf(one).some((dev) => exits[family].includes(dev)));
    const prefixes = there.flatMap((route) => parsePrefix(stringOf(route, 'dst') ?? '') ?? []);
    return [...new Set(prefixes.filter(({ length }) => length > 0).map(formatPrefix))].sort();
  };
  const [ipv4, ipv6] = await Promise.all([read(4), read(6)]);
  return { 4: ipv4, 6: ipv6 };
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
