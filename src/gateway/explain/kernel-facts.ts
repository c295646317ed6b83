/** What the kernel of this gateway would do with a flow between its site and the mesh. */

import { isDefaultRoute } from '../../control/breakout.ts';
import type { Flow } from '../../control/policy/evaluate.ts';
import { parseAddress } from '../../routing/address.ts';
import { containsAddress, parsePrefix } from '../../routing/prefix.ts';
import { FORWARDING, readSysctl } from '../../tun/sysctl.ts';
import { readHostFilters } from '../doctor/host-filters.ts';
import { readDefaultInterfaces } from '../mesh/default-interfaces.ts';
import { findFilters } from './flow-filters.ts';
import { findRewrites } from './flow-rewrites.ts';
import { lookUp } from './kernel-lookup.ts';
import { askNeighbour, type Link, readLinks } from './neighbour.ts';
import { reversePathMode } from './reverse-path.ts';
import { deviceSchema, type KernelFacts, type Lookup } from './side-facts.ts';

export interface NearAndFar {
  /** Address of this site. */
  readonly near: string;
  /** Address behind the mesh. */
  readonly far: string;
  readonly flow: Flow;
  /** Whether the flow begins at `near`. */
  readonly departs: boolean;
  /** `near` is of the Internet, and of this site only as its way out. */
  readonly internet: boolean;
}

/**
 * Null: the address is not of the Internet for this host, which sends it elsewhere than by its default
 * route. Breakout passes nothing there, and nobody is told of what is there.
 *
 * @param mesh the mesh's interface
 */
export async function readKernelFacts(
  { near, far, flow, departs, internet }: NearAndFar,
  mesh: string,
): Promise<KernelFacts | null> {
  const { family } = parseAddress(near)!;
  const [links, toNear, forwarding, own] = await Promise.all([
    readLinks(),
    lookUp(near, far, mesh),
    readSysctl(FORWARDING[family]),
    lookUp(near, undefined, undefined),
  ]);
  if (internet) {
    const { [family]: out } = await readDefaultInterfaces([family]);
    if (own.result !== 'sent' || own.device === null || !out.includes(own.device)) return null;
    // Where the main table has a route of its own, the next host would be asked for, and told of.
    if (own.prefix === null || !isDefaultRoute(own.prefix)) return null;
  }
  const isOwn = own.result === 'local';
  const link = isOwn ? undefined : lanOf(links, near, mesh, toNear, own);
  const isUsed = link?.state === 'up' && [toNear, own].some(({ device }) => device === link.device);
  const hop = toNear.result === 'sent' ? toNear : own;
  const [toFar, ownToFar, neighbour, strict, { chains, unread }] = await Promise.all([
    isOwn ? lookUp(far, near, undefined) : lookUp(far, near, link?.device),
    lookUp(far, isOwn ? near : undefined, undefined),
    isUsed && link.asks && hop.device === link.device
      ? askNeighbour(hop.gateway ?? near, link.device)
      : undefined,
    strictOf(family, link === undefined ? [mesh] : [mesh, link.device]),
    readHostFilters(),
  ]);
  const filtered = { flow, departs, mesh, lan: link?.device };
  return {
    own: isOwn,
    toNear: { forwarded: toNear, own },
    toFar: { forwarded: toFar, own: ownToFar },
    lan:
      link === undefined
        ? null
        : { device: link.device, state: link.state, connected: isConnected(link, near) },
    neighbour: neighbour ?? null,
    forwarding: forwarding !== '0',
    strict,
    filters: findFilters(chains, filtered),
    rewrites: internet ? [] : findRewrites(chains, filtered),
    filtersRead: unread === undefined,
  };
}

/** The interface with an address in the subnet of `near`; otherwise the one that the kernel takes. */
function lanOf(
  links: readonly Link[],
  near: string,
  mesh: string,
  ...lookups: readonly Lookup[]
): Link | undefined {
  const told = links.filter(
    ({ device }) => device !== mesh && deviceSchema.safeParse(device).success,
  );
  const taken = lookups.find(({ device }) => device !== null)?.device;
  const connected = told.filter((link) => isConnected(link, near));
  return (
    connected.find(({ device }) => device === taken) ??
    connected[0] ??
    told.find(({ device }) => device === taken)
  );
}

function isConnected({ addresses }: Link, near: string): boolean {
  const { address } = parseAddress(near)!;
  return addresses.some((text) => {
    const prefix = parsePrefix(text);
    return prefix !== undefined && containsAddress(prefix, address);
  });
}

/** IPv6 has no such setting. */
async function strictOf(family: 4 | 6, devices: readonly string[]): Promise<string[]> {
  if (family === 6) return [];
  const modes = await Promise.all(devices.map(reversePathMode));
  return devices.filter((_, i) => modes[i] === 1);
}
