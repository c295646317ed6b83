/** What makes a chain for addresses leave alone what goes into the mesh, or comes out of it. Pure. */
import { containsPrefix, equalPrefixes, formatPrefix, type Prefix } from '../../routing/prefix.ts';
import type { FilterChain } from './filter-model.ts';
import type { Fix } from './finding.ts';
import { type FirewallRemedy, iptablesProgram } from './firewall-remedy.ts';

export interface Rewritten {
  /** A base chain that rewrites. */
  readonly chain: FilterChain;
  /** Whether what it rewrites goes into the mesh, or comes out of it. */
  readonly way: 'into' | 'out';
  /** Of the mesh. */
  readonly interfaceName: string;
  /** Behind which the site's hosts are. */
  readonly links: readonly string[];
  readonly family: 4 | 6;
  /** Of other sites, and of the mesh. */
  readonly remote: readonly Prefix[];
}

/** More rules than these are nothing to be typed; a person has a better match. */
const MOST_RULES = 16;

/** @param chains all of the host */
export function natRemedy(rewritten: Rewritten, chains: readonly FilterChain[]): FirewallRemedy {
  const { chain } = rewritten;
  const beside = chains.filter(
    ({ tool, family, table }) =>
      tool === chain.tool && family === chain.family && table === chain.table,
  );
  const isFirewalld =
    chain.table === 'firewalld' || beside.some(({ name }) => name === 'POSTROUTING_direct');
  if (isFirewalld) return firewalld(rewritten);
  if (chain.tool === 'nft') {
    const rule = `nft insert rule ${chain.family} ${chain.table} ${chain.name}`;
    const commands = matchesOf(rewritten).map((match) => `${rule} ${match} accept`);
    return { product: 'nftables', commands, fixes: [] };
  }
  const fixes = matchesOf(rewritten).map((match): Fix => {
    const rule = (action: string): string[] => [
      ...[iptablesProgram(chain), '-t', 'nat', action, chain.name],
      ...[...match.split(' '), '-j', 'ACCEPT'],
    ];
    return { command: rule('-I'), undo: rule('-D') };
  });
  const commands = fixes.map(({ command }) => command.join(' '));
  // Docker leaves rules of others in this chain alone; other chains are somebody's configuration.
  const isDocker = beside.some(({ name }) => name === 'DOCKER');
  return {
    product: isDocker ? 'Docker' : 'iptables',
    commands,
    fixes: isDocker && rewritten.way === 'into' ? fixes : [],
  };
}

/**
 * By the mesh's interface where the hook knows it. Before the routing the way out is not known, and
 * iptables does not say after it by what a packet came in: there the other sites' prefixes tell.
 */
function matchesOf(rewritten: Rewritten): string[] {
  const { chain, way, interfaceName } = rewritten;
  const isNft = chain.tool === 'nft';
  if (chain.hook === 'postrouting' && way === 'into') {
    return [`${isNft ? 'oifname' : '-o'} ${interfaceName}`];
  }
  if (way === 'out' && (isNft || chain.hook === 'prerouting')) {
    return [`${isNft ? 'iifname' : '-i'} ${interfaceName}`];
  }
  const prefixes = coveringPrefixes(rewritten);
  if (prefixes.length > MOST_RULES) return [];
  const field = way === 'into' ? 'daddr' : 'saddr';
  const option = way === 'into' ? '-d' : '-s';
  return prefixes.map((prefix) => {
    const text = formatPrefix(prefix);
    if (!isNft) return `${option} ${text}`;
    return `${prefix.family === 4 ? 'ip' : 'ip6'} ${field} ${text}`;
  });
}

/** Without those that others contain. */
function coveringPrefixes({ remote, family }: Rewritten): Prefix[] {
  const ofFamily = remote.filter((prefix) => prefix.family === family);
  const unique = ofFamily.filter(
    (prefix, i) => ofFamily.findIndex((other) => equalPrefixes(other, prefix)) === i,
  );
  return unique.filter(
    (prefix) => !unique.some((other) => other !== prefix && containsPrefix(other, prefix)),
  );
}

/** A zone of one's own for the mesh has no masquerading; into the site it is that of the site's zone. */
function firewalld({ way, interfaceName, links }: Rewritten): FirewallRemedy {
  const commands =
    way === 'into'
      ? [`firewall-cmd --permanent --zone=trusted --add-interface=${interfaceName}`]
      : links.map((link) => {
          const zone = `$(firewall-cmd --get-zone-of-interface=${link})`;
          return `firewall-cmd --permanent --zone=${zone} --remove-masquerade`;
        });
  return { product: 'firewalld', commands: [...commands, 'firewall-cmd --reload'], fixes: [] };
}
