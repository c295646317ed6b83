/**
 * Whether the addresses of what is forwarded between the site and the mesh stay as they are: no chain
 * of the host may put the gateway's own in place of a source, or another in place of a destination.
 * What a way out of the mesh (breakout) rewrites is in a table of ours, and is not looked at. Pure.
 */
import { formatPrefix, type Prefix, prefixesOverlap } from '../../routing/prefix.ts';
import { concerns, type FilterChain, type ProbePacket } from './filter-model.ts';
import { type Finding, fixable, ok, skipped, warning } from './finding.ts';
import { hostOf } from './firewall-check.ts';
import { chainName } from './firewall-remedy.ts';
import type { HostFacts } from './host-facts.ts';
import { locateLan } from './lan-location.ts';
import { natRemedy, type Rewritten } from './nat-remedy.ts';
import { NatWalk } from './nat-verdict.ts';
import type { GatewayScope } from './scope.ts';

/** A rule may be for one of them; ICMP of its family is the last. */
const PROTOCOLS = { 4: [6, 17, 1], 6: [6, 17, 58] } as const;
/** Of each side and family: rules tell prefixes apart. */
const MOST_PREFIXES = 16;

/** A network of this host, and the interface that it is behind. */
interface Near {
  readonly prefix: Prefix;
  readonly link: string;
}

interface Case extends Rewritten {
  readonly near: Near;
  readonly rule: string;
}

export function checkAddresses(scope: GatewayScope, facts: HostFacts): Finding[] {
  const { chains, unread } = facts.filters;
  const served = servedNetworks(scope, facts);
  if (served.length === 0) return [skipped('nat', 'Nothing is forwarded here.')];
  const groups = Map.groupBy(findRewrites(served, scope, chains), (one) =>
    [chainName(one.chain), one.way, one.rule].join(),
  );
  const said = [...groups.values()].map((cases) => describe(cases, chains));
  if (said.length > 0) return said;
  if (unread !== undefined) return [skipped('nat', `Not all could be read: ${unread}.`)];
  const hidden = findRewrites(localNetworks(scope, facts), scope, chains).filter(
    ({ way, chain }) => way === 'into' && chain.hook === 'postrouting',
  );
  return [ok('nat', `No rule rewrites them.${describeHidden(hidden)}`)];
}

function servedNetworks({ served }: GatewayScope, facts: HostFacts): Near[] {
  return ([4, 6] as const).flatMap((family) =>
    served
      .filter((prefix) => prefix.family === family)
      .slice(0, MOST_PREFIXES)
      .flatMap((prefix) => {
        const { how, interfaces } = locateLan(prefix, facts);
        const [link] = how === 'nowhere' ? [] : interfaces;
        return link === undefined ? [] : [{ prefix, link }];
      }),
  );
}

/** Those of containers and the like: connected, not served, and not where the Internet is. */
function localNetworks({ served, interfaceName }: GatewayScope, { routes }: HostFacts): Near[] {
  const outside = new Set(
    routes.filter(({ prefix }) => prefix.length === 0).map((route) => route.interfaceName),
  );
  return routes
    .filter(({ connected, prefix }) => {
      return connected && !served.some((one) => prefixesOverlap(one, prefix));
    })
    .filter((route) => route.interfaceName !== interfaceName && !outside.has(route.interfaceName))
    .slice(0, MOST_PREFIXES)
    .map((route) => ({ prefix: route.prefix, link: route.interfaceName }));
}

function findRewrites(
  networks: readonly Near[],
  { interfaceName, remote }: GatewayScope,
  chains: readonly FilterChain[],
): Case[] {
  const walk = new NatWalk(chains);
  const asked = chains.filter(
    ({ type, hook }) => type === 'nat' && (hook === 'prerouting' || hook === 'postrouting'),
  );
  return asked.flatMap((chain) =>
    networks.flatMap((near): Case[] => {
      const { family } = near.prefix;
      if (!concerns(chain, family)) return [];
      const all = remote.filter((prefix) => prefix.family === family && prefix.length > 0);
      return (['into', 'out'] as const).flatMap((way) => {
        const rule = ruleOf(walk, chain, way, near, interfaceName, all.slice(-MOST_PREFIXES));
        if (rule === undefined) return [];
        const links = [near.link];
        return [{ chain, way, interfaceName, links, family, remote: all, near, rule }];
      });
    }),
  );
}

function ruleOf(
  walk: NatWalk,
  chain: FilterChain,
  way: Rewritten['way'],
  near: Near,
  mesh: string,
  remote: readonly Prefix[],
): string | undefined {
  for (const far of remote) {
    const here = { link: near.link, address: hostOf(near.prefix) };
    const there = { link: mesh, address: hostOf(far) };
    const [from, to] = way === 'into' ? [here, there] : [there, here];
    for (const protocol of PROTOCOLS[near.prefix.family]) {
      const packet: ProbePacket = {
        ...{ family: near.prefix.family, protocol, state: 'new' },
        ...{ in: from.link, out: to.link, source: from.address, destination: to.address },
        ...{ sourcePort: undefined, destinationPort: undefined },
      };
      const rule = walk.rewriting(chain, packet);
      if (rule !== undefined) return rule;
    }
  }
  return undefined;
}

function describe(cases: readonly Case[], chains: readonly FilterChain[]): Finding {
  const [first] = cases as [Case];
  const { chain, way, rule } = first;
  const links = [...new Set(cases.map(({ near }) => near.link))];
  const { product, commands, fixes } = natRemedy({ ...first, links }, chains);
  const networks = listed([...new Set(cases.map(({ near }) => formatPrefix(near.prefix)))]);
  const whose = product === 'Docker' || product === 'firewalld' ? `, of ${product}` : '';
  const which = `rule \`${rule}\` in ${chainName(chain)}${whose}`;
  const says =
    chain.hook === 'postrouting'
      ? way === 'into'
        ? `Hosts of ${networks} lose their addresses on the way into the mesh: other sites see the gateway instead, and policies take them for it (${which}).`
        : `What comes out of the mesh for ${networks} loses its source: hosts there see the gateway instead of the true address (${which}).`
      : way === 'into'
        ? `What hosts of ${networks} send into the mesh goes elsewhere: its destination is replaced (${which}).`
        : `What comes out of the mesh for ${networks} goes elsewhere: its destination is replaced (${which}).`;
  const finding = warning(
    'nat',
    commands.length > 0 ? says : `${says} Make it spare what other sites send.`,
    ...commands,
  );
  return fixes.length > 0 ? fixable(finding, fixes) : finding;
}

/** Of networks that no other site could answer anyway: it is how they get into the mesh at all. */
function describeHidden(cases: readonly Case[]): string {
  if (cases.length === 0) return '';
  const names = [
    ...new Set(cases.map(({ near }) => `${formatPrefix(near.prefix)} (${near.link})`)),
  ];
  return ` What is no prefix of this site and is sent into the mesh, from ${listed(names)}, has the gateway's address by a rule of the host: advertise it if other sites are to see the true one.`;
}

function listed(names: readonly string[]): string {
  const more = names.length > 3 ? ` and ${names.length - 3} more` : '';
  return `${names.slice(0, 3).join(', ')}${more}`;
}
