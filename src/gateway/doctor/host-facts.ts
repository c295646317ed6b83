/**
 * What the checks of the host look at, read once: links, the main table's routes, kernel settings,
 * packet filters, the table of connections.
 */
import { readFile } from 'node:fs/promises';
import {
  type InterfaceAddress,
  type Prefix,
  parseInterfaceAddress,
  parsePrefix,
} from '../../routing/prefix.ts';
import { ipJson, numberOf, objectsOf, stringOf } from '../../tun/command.ts';
import { FORWARDING } from '../../tun/sysctl.ts';
import { type HostFilters, readHostFilters } from './host-filters.ts';
import type { GatewayScope } from './scope.ts';

export interface HostLink {
  readonly name: string;
  /** Somebody has set it up. */
  readonly up: boolean;
  /** There is somebody at the other end. */
  readonly carrier: boolean;
  readonly mtu: number;
  readonly addresses: readonly InterfaceAddress[];
}

/** A route of the main table. */
export interface HostRoute {
  readonly prefix: Prefix;
  readonly interfaceName: string;
  /** Text of the next router's address. */
  readonly via: string | undefined;
  /** Made by the kernel for an address of an interface. */
  readonly connected: boolean;
  /** Learned by the kernel from router advertisements, or by a program. */
  readonly advertised: boolean;
}

export interface HostFacts {
  readonly links: readonly HostLink[];
  readonly routes: readonly HostRoute[];
  /** Of the kernel; undefined = it has no such setting. */
  readonly settings: (path: string) => string | undefined;
  readonly filters: HostFilters;
  /** Connections that are tracked, and at most may be; undefined = none are tracked. */
  readonly connections: { readonly count: number; readonly most: number } | undefined;
}

/** Settings of an interface that forwarding depends on, as paths below /proc/sys. */
export function settingsOf(interfaceName: string) {
  const v4 = `net/ipv4/conf/${interfaceName}`;
  const v6 = `net/ipv6/conf/${interfaceName}`;
  return {
    forwarding4: `${v4}/forwarding`,
    forwarding6: `${v6}/forwarding`,
    reversePath: `${v4}/rp_filter`,
    sendRedirects: `${v4}/send_redirects`,
    acceptAdvertisements: `${v6}/accept_ra`,
    disabled6: `${v6}/disable_ipv6`,
    addressGeneration: `${v6}/addr_gen_mode`,
  } as const;
}

const CONNECTIONS = 'net/netfilter/nf_conntrack_count';
const MOST_CONNECTIONS = 'net/netfilter/nf_conntrack_max';

export async function readHostFacts(scope: GatewayScope): Promise<HostFacts> {
  const [links, routes, filters] = await Promise.all([
    readLinks(),
    readRoutes(scope.interfaceName),
    readHostFilters(),
  ]);
  // Of a host with a thousand containers only the interfaces that routes lead to.
  const names = new Set(['all', 'default', scope.interfaceName]);
  for (const { prefix, interfaceName } of routes) {
    if (prefix.length === 0 || scope.served.some((served) => served.family === prefix.family)) {
      names.add(interfaceName);
    }
  }
  const paths = [
    ...[...names].flatMap((name) => Object.values(settingsOf(name))),
    ...Object.values(FORWARDING),
    CONNECTIONS,
    MOST_CONNECTIONS,
  ];
  const settings = new Map<string, string>();
  await Promise.all(
    paths.map(async (path) => {
      const text = await readFile(`/proc/sys/${path}`, 'utf8').catch(() => undefined);
      if (text !== undefined) settings.set(path, text.trim());
    }),
  );
  const count = settings.get(CONNECTIONS);
  const most = settings.get(MOST_CONNECTIONS);
  return {
    links,
    routes,
    filters,
    settings: (path) => settings.get(path),
    connections:
      count === undefined || most === undefined
        ? undefined
        : { count: Number(count), most: Number(most) },
  };
}

/** All of this network namespace. */
export async function readLinks(): Promise<HostLink[]> {
  const shown = await ipJson(['address', 'show']);
  return shown.flatMap((link): HostLink[] => {
    const name = stringOf(link, 'ifname');
    if (name === undefined) return [];
    const flags = Array.isArray(link.flags) ? link.flags : [];
    const addresses = objectsOf(link.addr_info).flatMap((one) => {
      const text = `${stringOf(one, 'local')}/${numberOf(one, 'prefixlen')}`;
      return parseInterfaceAddress(text) ?? [];
    });
    const up = flags.includes('UP');
    const carrier =
      !flags.includes('NO-CARRIER') && stringOf(link, 'operstate') !== 'LOWERLAYERDOWN';
    return [{ name, up, carrier, mtu: numberOf(link, 'mtu') ?? 0, addresses }];
  });
}

/** Of the main table. */
export async function readRoutes(exceptInterface: string): Promise<HostRoute[]> {
  const found = await Promise.all(
    ([4, 6] as const).map(async (family) => {
      const entries = await ipJson([`-${family}`, 'route', 'show', 'table', 'main']);
      const everything = family === 4 ? '0.0.0.0/0' : '::/0';
      return entries.flatMap((entry): HostRoute[] => {
        const text = stringOf(entry, 'dst') ?? '';
        const prefix = parsePrefix(text === 'default' ? everything : text);
        const first = objectsOf(entry.nexthops)[0];
        const interfaceName = stringOf(entry, 'dev') ?? stringOf(first, 'dev');
        if (prefix === undefined || interfaceName === undefined) return [];
        if (interfaceName === exceptInterface) return [];
        const via = stringOf(entry, 'gateway') ?? stringOf(first, 'gateway');
        const protocol = stringOf(entry, 'protocol');
        const [connected, advertised] = [protocol === 'kernel', protocol === 'ra'];
        return [{ prefix, interfaceName, via, connected, advertised }];
      });
    }),
  );
  return found.flat();
}
