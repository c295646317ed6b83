/**
 * Whether the host's packet filters let the site's packets into the mesh and out of it. What the gateway
 * itself sends is own-firewall-check.ts. Pure.
 */
import { formatAddress } from '../../routing/address.ts';
import { type Prefix, prefixOf } from '../../routing/prefix.ts';
import { atHooks, concerns, type FilterChain, type ProbePacket } from './filter-model.ts';
import { FilterWalk, type Passage } from './filter-verdict.ts';
import { type Finding, fixable, ok, problem, skipped, warning } from './finding.ts';
import { chainName, forwardRemedy } from './firewall-remedy.ts';
import type { HostFacts } from './host-facts.ts';
import { locateLan } from './lan-location.ts';
import type { GatewayScope } from './scope.ts';

const TCP = 6;
const UDP = 17;
/** ICMP and ICMPv6. */
const ICMP = { 4: 1, 6: 58 } as const;
/** Interfaces of a site that are tried, for each family. */
const MOST_LINKS = 8;

interface Probe {
  readonly packet: ProbePacket;
  /** `from eth0 (10.1.0.1) to causeway0 (10.2.0.1)`. */
  readonly says: string;
}

export function checkForwardFilters(scope: GatewayScope, facts: HostFacts): Finding[] {
  const { chains, unread } = facts.filters;
  const probes = forwardProbes(scope, facts);
  if (probes.length === 0) return [skipped('firewall', 'Nothing is forwarded here.')];
  const walk = new FilterWalk(chains);
  const asked = atHooks(chains, 'forward', 'prerouting', 'postrouting');
  const said = asked.flatMap((chain) => {
    const stopped = probes
      .filter(({ packet }) => concerns(chain, packet.family))
      .map((probe) => ({ probe, passage: passageOf(walk, chain, probe.packet) }))
      .filter(({ passage }) => passage !== 'passes');
    return stopped.length === 0 ? [] : describe(chain, stopped, chains, scope.interfaceName);
  });
  if (unread !== undefined) said.push(skipped('firewall', `Not all could be read: ${unread}.`));
  return said.length > 0 ? said : [ok('firewall', 'Every chain lets them pass.')];
}

/** Of TCP; where that passes and UDP or ICMP do not, it is a part that does. */
function passageOf(walk: FilterWalk, chain: FilterChain, packet: ProbePacket): Passage {
  const passage = walk.passage(chain, packet);
  if (passage !== 'passes') return passage;
  const others = [UDP, ICMP[packet.family]].map((protocol) => ({ ...packet, protocol }));
  return others.every((other) => walk.passage(chain, other) === 'passes') ? 'passes' : 'partly';
}

function describe(
  chain: FilterChain,
  stopped: readonly { readonly probe: Probe; readonly passage: Passage }[],
  chains: readonly FilterChain[],
  interfaceName: string,
): Finding[] {
  const links = stopped.map(({ probe: { packet } }) =>
    chain.hook === 'postrouting' ? packet.out : packet.in,
  );
  const known = [...new Set(links)].filter((link) => link !== undefined);
  const { product, commands, fixes } = forwardRemedy(chain, chains, interfaceName, known);
  const partly = stopped.every(({ passage }) => passage === 'partly');
  const what = partly ? 'lets only some of the packets pass' : 'drops what it does not accept';
  const ways = [...new Set(stopped.map(({ probe }) => probe.says))];
  const more = ways.length > 2 ? ` and ${ways.length - 2} more` : '';
  const says = `The chain ${chainName(chain)} ${what} (${product}): ${ways.slice(0, 2).join(', ')}${more}.`;
  const finding = partly
    ? warning('firewall', says, ...commands)
    : problem('firewall', says, ...commands);
  return [fixes.length > 0 ? fixable(finding, fixes) : finding];
}

function forwardProbes(scope: GatewayScope, facts: HostFacts): Probe[] {
  const { interfaceName, served, remote } = scope;
  return ([4, 6] as const).flatMap((family) => {
    const far = remote.filter((prefix) => prefix.family === family && prefix.length > 0).at(-1);
    const near = new Map<string, Prefix>();
    for (const prefix of served) {
      if (prefix.family !== family) continue;
      const { how, interfaces } = locateLan(prefix, facts);
      for (const name of how === 'nowhere' ? [] : interfaces) {
        if (near.size < MOST_LINKS && !near.has(name)) near.set(name, prefix);
      }
    }
    if (far === undefined) return [];
    return [...near].flatMap(([link, prefix]) => [
      probe(family, [link, prefix], [interfaceName, far]),
      probe(family, [interfaceName, far], [link, prefix]),
    ]);
  });
}

type Side = readonly [link: string, prefix: Prefix];

function probe(family: 4 | 6, [from, source]: Side, [to, destination]: Side): Probe {
  const [a, b] = [hostOf(source), hostOf(destination)];
  const packet: ProbePacket = {
    family,
    in: from,
    out: to,
    source: a,
    destination: b,
    protocol: TCP,
    sourcePort: undefined,
    destinationPort: undefined,
    state: 'new',
  };
  return {
    packet,
    says: `from ${from} (${formatAddress(a)}) to ${to} (${formatAddress(b)})`,
  };
}

/** The first address that a host can have. */
export function hostOf({ address, length }: Prefix): Uint8Array {
  const host = prefixOf(address, length).address;
  if (length < address.length * 8) host[host.length - 1]! |= 1;
  return host;
}
