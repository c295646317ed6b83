/**
 * What the kernel is to have for a mesh: one value, made of the netmap and of what this host found out
 * itself, and handed to `MeshKernel.apply` as a whole. To have something else in the kernel, put it in
 * here; what is not in here any more is taken away.
 *
 * - `prefixes`: routes into the interface, in lists: one that is the same object as before is known to be
 *   unchanged. A route with `mtu` is installed with that MTU. The same prefix twice: the first counts.
 * - `closed`: families of which what is forwarded is refused where no route but main's default would
 *   take it; with a default route among `prefixes` as well, where that one does not.
 * - `breakoutMtus`: a segment size that a SYN from the Internet, out of the tunnel, is limited to.
 * - `tables`: nftables tables beside the one for segment sizes (tun/nftables.ts), replaced when their
 *   text changes, put back when somebody took them away.
 * - `settings`: kernel settings and the values that they are to have; what they were before is noted
 *   down, and set back when the last tunnel that wants them ends.
 */
import { BREAKOUT_FAMILIES, type BreakoutFamily } from '../../control/breakout.ts';
import type { Netmap } from '../../control/netmap.ts';
import { type InterfaceAddress, type Prefix, parsePrefix, prefixOf } from '../../routing/prefix.ts';
import type { WantedRoutes } from '../../routing/route-plan.ts';
import type { NftTable } from '../../tun/nftables.ts';
import { portGuard } from '../diagnosis/port-guard.ts';
import {
  approvedPrefixes,
  type Breakout,
  type BreakoutHost,
  breakoutSettings,
  breakoutTables,
} from './breakout-tables.ts';
import type { EdgeEndpoints } from './edge-endpoints.ts';
import type { Wanted } from './netmap-translation.ts';
import { type DefaultMtus, defaultMtus, type PathMtus, withMtus } from './route-mtus.ts';

export interface WantedKernel {
  readonly addresses: readonly InterfaceAddress[];
  /** To be routed into the interface. */
  readonly prefixes: WantedRoutes;
  /** Never routed into the interface: the addresses of the edges. */
  readonly outside: readonly Prefix[];
  readonly closed: readonly (4 | 6)[];
  /** Of the paths to who takes the Internet traffic of a family, where they carry less than the interface. */
  readonly breakoutMtus: DefaultMtus;
  /** What this connector serves: needs forwarding. */
  readonly served: readonly Prefix[];
  readonly tables: readonly NftTable[];
  /** By name: `net.ipv4.ip_forward`, or with slashes where an interface's name holds dots. */
  readonly settings: Readonly<Record<string, string>>;
}

/** What is wanted of this host whatever the netmap says, as long as there is one. */
export type HostNeeds = Pick<WantedKernel, 'tables' | 'settings'>;
export const NO_NEEDS: HostNeeds = { tables: [], settings: {} };

/** No addresses, no routes; the interface is up. */
export const NOTHING: WantedKernel = {
  addresses: [],
  prefixes: [],
  outside: [],
  closed: [],
  breakoutMtus: {},
  served: [],
  tables: [],
  settings: {},
};

/** @param host whether it answers other gateways' questions, beside what a way out needs to know of it */
export function wantedKernel(
  netmap: Netmap,
  wanted: Wanted,
  endpoints: EdgeEndpoints,
  host: BreakoutHost & { readonly answers: boolean },
  needs: HostNeeds = NO_NEEDS,
  paths: PathMtus = new Map(),
): WantedKernel {
  const { addresses, breakout } = wanted;
  const prefixes = withMtus(netmap, wanted, paths);
  const outside = netmap.edges
    .flatMap(({ id }) => endpoints.addressesOf(id))
    .map((address) => prefixOf(address, address.length * 8));
  const served = approvedPrefixes(netmap.self).map((prefix) => parsePrefix(prefix)!);
  const guards = host.answers ? [portGuard(host.interfaceName, netmap.self)] : [];
  return {
    ...{ addresses, prefixes, outside, served },
    closed: closedFamilies(breakout),
    breakoutMtus: defaultMtus(breakout, paths),
    tables: [...breakoutTables(netmap, breakout, host), ...guards, ...needs.tables],
    settings: { ...breakoutSettings(breakout, host), ...needs.settings },
  };
}

/** Families whose Internet traffic is to go by no other way than a chosen connector's. */
export function closedFamilies(breakout: Breakout): BreakoutFamily[] {
  return BREAKOUT_FAMILIES.filter((family) => {
    const way = breakout[family];
    return way.kind === 'refused' || (way.kind === 'through' && way.orElse === 'refuse');
  });
}
