/**
 * The nftables table and the kernel settings of breakout, on both sides of it.
 *
 * At the way out, which others' Internet traffic leaves by: what comes out of the mesh for no prefix of
 * this site leaves by the interfaces of the host's own default routes, with their address in place of
 * its source, or is refused: neither networks here that are no route, nor addresses of this host, are
 * the Internet; private ones behind the same interface, and link-local addresses (metadata of a cloud), are
 * not either. The data plane let only sources in that are the sender's. It is the only place where an
 * address is rewritten; what goes to this site's prefixes keeps its source.
 *
 * At the site that uses it: what comes out of the mesh may have any source that is no other
 * connector's, and so must have none of this site's own, nor one that is kept for a connector which nobody
 * has joined as: the policy would take it for theirs.
 */
import {
  BREAKOUT_FAMILIES,
  type BreakoutFamily,
  type BreakoutWay,
  defaultFamilies,
  isDefaultRoute,
} from '../../control/breakout.ts';
import type { Netmap, NetmapSelf } from '../../control/netmap.ts';
import { parsePrefix } from '../../routing/prefix.ts';
import { type NftTable, tableName } from '../../tun/nftables.ts';
import type { Exits } from './default-interfaces.ts';

export interface BreakoutHost extends Exits {
  /** Of the mesh. */
  readonly interfaceName: string;
  /** The kernel drops what comes in where its source is not routed to, unless told otherwise. */
  readonly strict: boolean;
}

export type Breakout = Readonly<Record<BreakoutFamily, BreakoutWay>>;

const SAYS: Readonly<Record<BreakoutFamily, { readonly ip: string; readonly protocol: string }>> = {
  4: { ip: 'ip', protocol: 'ipv4' },
  6: { ip: 'ip6', protocol: 'ipv6' },
};

/** Never routed (RFC 3927 § 7); of IPv6 the kernel forwards none. */
const LINK_LOCAL: Readonly<Record<BreakoutFamily, readonly string[]>> = {
  4: ['169.254.0.0/16'],
  6: [],
};

const REFUSE = 'reject with icmpx type admin-prohibited';

export function approvedPrefixes({ routes }: NetmapSelf): string[] {
  return routes.filter(({ approved }) => approved).map(({ prefix }) => prefix);
}

/** Name of the table. */
export function breakoutTableName(interfaceName: string): string {
  return tableName(interfaceName, 'breakout');
}

/** None where this host has no part in it. */
export function breakoutTables(
  netmap: Netmap,
  breakout: Breakout,
  { interfaceName, interfaces, beside }: Omit<BreakoutHost, 'strict'>,
): NftTable[] {
  const { self } = netmap;
  const mesh = `iifname "${interfaceName}"`;
  const own = approvedPrefixes(self);
  const shield: string[] = [];
  const refuse: string[] = [];
  const input: string[] = [];
  const masquerade: string[] = [];
  const sets: string[] = [];
  for (const family of BREAKOUT_FAMILIES) {
    const { ip, protocol } = SAYS[family];
    const prefixes = networksOf(family, own);
    const isExit = defaultFamilies(own).includes(family);
    const isUser = breakout[family].kind === 'through';
    if (!isExit && !isUser) continue;
    const setOf = (name: string, elements: readonly string[]): string => {
      const contents = `flags interval; auto-merge; elements = { ${elements.join(', ')} }`;
      sets.push(`  set ${name}${family} { type ${protocol}_addr; ${contents} }`);
      return `@${name}${family}`;
    };
    const meshIp = family === 4 ? self.mesh.ipv4 : self.mesh.ipv6;
    if (isUser) {
      const inside = [...prefixes, meshIp, ...networksOf(family, keptIn(netmap))];
      shield.push(`${mesh} ${ip} saddr ${setOf('inside', inside)} counter drop`);
    }
    if (!isExit) continue;
    const notOwn = prefixes.length > 0 ? ` ${ip} daddr != ${setOf('own', prefixes)}` : '';
    const elsewhere = `meta nfproto ${protocol}${notOwn}`;
    const out = `{ ${interfaces[family].map((name) => `"${name}"`).join(', ')} }`;
    const found = interfaces[family].length > 0;
    const other = found ? ` oifname != ${out}` : '';
    refuse.push(`${mesh} ${elsewhere}${other} counter ${REFUSE}`);
    const near = [...LINK_LOCAL[family], ...beside[family]];
    if (found && near.length > 0) {
      refuse.push(`${mesh} ${elsewhere} ${ip} daddr ${setOf('beside', near)} counter ${REFUSE}`);
    }
    const address = hostOf(meshIp);
    // Multicast, as neighbour discovery of IPv6, is the kernel's business.
    const here = `fib daddr type ${family === 4 ? '{ local, broadcast }' : 'local'}`;
    input.push(`${mesh} ${elsewhere} ${here} ${ip} daddr != ${address} counter ${REFUSE}`);
    if (found) masquerade.push(`${mesh} oifname ${out} ${elsewhere} counter masquerade`);
  }
  // Of a connection that began here: whoever began it may be hidden behind this host, as containers are.
  const answers = refuse.length === 0 ? [] : [`${mesh} ct direction reply accept`];
  const chains = [
    ...chain('shield', 'filter hook prerouting priority raw', shield),
    ...chain('refuse', 'filter hook forward priority filter', [...answers, ...refuse]),
    ...chain('keep', 'filter hook input priority filter', [...answers, ...input]),
    ...chain('leave', 'nat hook postrouting priority srcnat', masquerade),
  ];
  if (chains.length === 0) return [];
  return [{ name: breakoutTableName(interfaceName), body: [...sets, ...chains].join('\n') }];
}

function networksOf(family: BreakoutFamily, prefixes: readonly string[]): string[] {
  return prefixes.filter((text) => !isDefaultRoute(text) && parsePrefix(text)?.family === family);
}

function keptIn({ reserved = [] }: Netmap): string[] {
  return reserved.flatMap(({ prefixes }) => prefixes);
}

/**
 * Answers come out of the mesh from addresses that the main table has elsewhere: what is strict about
 * that would drop them. The setting is of our own interface.
 */
export function breakoutSettings(
  breakout: Breakout,
  { interfaceName, strict }: BreakoutHost,
): Record<string, string> {
  if (!strict || breakout[4].kind !== 'through') return {};
  return { [`net/ipv4/conf/${interfaceName}/rp_filter`]: '2' };
}

function hostOf(prefix: string): string {
  return prefix.slice(0, prefix.indexOf('/'));
}

function chain(name: string, hook: string, rules: readonly string[]): string[] {
  if (rules.length === 0) return [];
  return [
    `  chain ${name} {`,
    `    type ${hook}; policy accept;`,
    ...rules.map((rule) => `    ${rule}`),
    '  }',
  ];
}
