/**
 * The nftables table and the kernel settings of breakout, on both sides of it.
 *
 * At the way out, which others' Internet traffic leaves by: what comes out of the mesh for no prefix of
 * this site leaves by the interfaces of the host's own default routes, with their address in place of
 * its source, or is refused: neither networks here that are no route, nor addresses of this host, are
 * the Internet. The data plane let only sources in that are the sender's. It is the only place where an
 * address is rewritten; what goes to this site's prefixes keeps its source.
 *
 * At the site that uses it: what comes out of the mesh may have any source that is no other
 * connector's, and so must not have one of this site's own.
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
import type { DefaultInterfaces } from './default-interfaces.ts';

export interface BreakoutHost {
  /** Of the mesh. */
  readonly interfaceName: string;
  readonly exits: DefaultInterfaces;
  /** The kernel drops what comes in where its source is not routed to, unless told otherwise. */
  readonly strict: boolean;
}

export type Breakout = Readonly<Record<BreakoutFamily, BreakoutWay>>;

const SAYS: Readonly<Record<BreakoutFamily, { readonly ip: string; readonly protocol: string }>> = {
  4: { ip: 'ip', protocol: 'ipv4' },
  6: { ip: 'ip6', protocol: 'ipv6' },
};

const REFUSE = 'reject with icmpx type admin-prohibited';

export function approvedPrefixes({ routes }: NetmapSelf): string[] {
  return routes.filter(({ approved }) => approved).map(({ prefix }) => prefix);
}

/** None where this host has no part in it. */
export function breakoutTables(
  { self }: Netmap,
  breakout: Breakout,
  { interfaceName, exits }: Omit<BreakoutHost, 'strict'>,
): NftTable[] {
  const mesh = `iifname "${interfaceName}"`;
  const own = approvedPrefixes(self);
  const shield: string[] = [];
  const refuse: string[] = [];
  const input: string[] = [];
  const masquerade: string[] = [];
  const sets: string[] = [];
  for (const family of BREAKOUT_FAMILIES) {
    const { ip, protocol } = SAYS[family];
    const prefixes = own.filter((text) => {
      return !isDefaultRoute(text) && parsePrefix(text)?.family === family;
    });
    const isExit = defaultFamilies(own).includes(family);
    const isUser = breakout[family].kind === 'through';
    if (!isExit && !isUser) continue;
    const set = `own${family}`;
    if (prefixes.length > 0) {
      const elements = `flags interval; auto-merge; elements = { ${prefixes.join(', ')} }`;
      sets.push(`  set ${set} { type ${protocol}_addr; ${elements} }`);
      if (isUser) shield.push(`${mesh} ${ip} saddr @${set} counter drop`);
    }
    if (!isExit) continue;
    const notOwn = prefixes.length > 0 ? ` ${ip} daddr != @${set}` : '';
    const elsewhere = `meta nfproto ${protocol}${notOwn}`;
    const out = `{ ${exits[family].map((name) => `"${name}"`).join(', ')} }`;
    const found = exits[family].length > 0;
    const other = found ? ` oifname != ${out}` : '';
    refuse.push(`${mesh} ${elsewhere}${other} counter ${REFUSE}`);
    const address = hostOf(family === 4 ? self.mesh.ipv4 : self.mesh.ipv6);
    // What is for many, neighbour discovery for example, is the kernel's business.
    const unicast = 'fib daddr type local';
    input.push(`${mesh} ${elsewhere} ${unicast} ${ip} daddr != ${address} counter ${REFUSE}`);
    if (found) masquerade.push(`${mesh} oifname ${out} ${elsewhere} counter masquerade`);
  }
  const chains = [
    ...chain('shield', 'filter hook prerouting priority raw', shield),
    ...chain('refuse', 'filter hook forward priority filter', refuse),
    ...chain('keep', 'filter hook input priority filter', input),
    ...chain('leave', 'nat hook postrouting priority srcnat', masquerade),
  ];
  if (chains.length === 0) return [];
  return [{ name: tableName(interfaceName, 'breakout'), body: [...sets, ...chains].join('\n') }];
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
