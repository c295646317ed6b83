/** What to tell the product that a chain belongs to, so that it lets the mesh's packets pass. Pure. */
import type { FilterChain } from './filter-model.ts';
import type { Fix } from './finding.ts';

export interface FirewallRemedy {
  /** The product, for the sentence. */
  readonly product: string;
  readonly commands: readonly string[];
  /** The same as steps that may be taken by a program; empty = they change a person's configuration. */
  readonly fixes: readonly Fix[];
}

/**
 * @param chain a base chain on the way of forwarded packets that drops
 * @param chains all of the host
 * @param interfaceName of the mesh
 * @param links by which the packets that it drops come, or leave
 */
export function forwardRemedy(
  chain: FilterChain,
  chains: readonly FilterChain[],
  interfaceName: string,
  links: readonly string[] = [interfaceName],
): FirewallRemedy {
  const beside = chains.filter(
    ({ tool, family, table }) =>
      tool === chain.tool && family === chain.family && table === chain.table,
  );
  const isForward = chain.hook === 'forward';
  if (chain.tool === 'nft') {
    const isTheirs = isForward && chain.table === 'firewalld';
    return isTheirs ? firewalld(interfaceName) : plainNft(chain, interfaceName, links);
  }
  if (!isForward) return plainIptables(chain, interfaceName, links);
  if (beside.some(({ name }) => name === 'DOCKER-USER')) {
    return docker(iptablesProgram(chain), interfaceName);
  }
  if (beside.some(({ name }) => name.startsWith('ufw'))) return ufw(interfaceName);
  if (beside.some(({ name }) => name === 'FORWARD_direct')) return firewalld(interfaceName);
  return plainIptables(chain, interfaceName, links);
}

/**
 * Where a rule at that hook meets the packets: before the routing only the interface that they come by
 * is known, after it the one that they leave by says enough.
 */
function placesOf({ hook }: FilterChain, interfaceName: string, links: readonly string[]) {
  if (hook === 'prerouting') return links.map((link) => ['in', link] as const);
  if (hook === 'postrouting') return links.map((link) => ['out', link] as const);
  return [['in', interfaceName] as const, ['out', interfaceName] as const];
}

/** A rule for a table that is not the filter's must say so. */
function plainIptables(
  chain: FilterChain,
  interfaceName: string,
  links: readonly string[],
): FirewallRemedy {
  const table = chain.table === 'filter' ? '' : ` -t ${chain.table}`;
  const rule = `${iptablesProgram(chain)}${table} -I ${chain.name}`;
  const commands = placesOf(chain, interfaceName, links).map(
    ([way, link]) => `${rule} ${way === 'in' ? '-i' : '-o'} ${link} -j ACCEPT`,
  );
  return { product: 'iptables', commands, fixes: [] };
}

function ways(interfaceName: string): [string, string] {
  return [`-i ${interfaceName}`, `-o ${interfaceName}`];
}

export function iptablesProgram({ tool, family }: Pick<FilterChain, 'tool' | 'family'>): string {
  const base = family === 'ip6' ? 'ip6tables' : 'iptables';
  return tool === 'iptables-legacy' ? `${base}-legacy` : base;
}

/** As the tool of the chain calls it. */
export function chainName({ tool, family, table, name }: Omit<FilterChain, 'rules'>): string {
  return tool === 'nft'
    ? `${family} ${table} ${name}`
    : `${name} of ${iptablesProgram({ tool, family })} (table ${table})`;
}

/** Docker asks this chain first, leaves its rules to others and keeps them when it starts anew. */
function docker(program: string, interfaceName: string): FirewallRemedy {
  const fixes = ways(interfaceName).map((way): Fix => {
    const rule = (action: string): string[] => [
      program,
      action,
      'DOCKER-USER',
      ...way.split(' '),
      '-j',
      'ACCEPT',
    ];
    return { command: rule('-I'), undo: rule('-D') };
  });
  return { product: 'Docker', commands: fixes.map(({ command }) => command.join(' ')), fixes };
}

function ufw(interfaceName: string): FirewallRemedy {
  return {
    product: 'ufw',
    commands: [`ufw route allow in on ${interfaceName}`, `ufw route allow out on ${interfaceName}`],
    fixes: [],
  };
}

/**
 * The zone lets pass what comes from the interface; what goes to it from other zones needs a policy
 * object (firewalld 0.9 and later).
 */
function firewalld(interfaceName: string): FirewallRemedy {
  const policy = `--policy=${interfaceName}`;
  return {
    product: 'firewalld',
    commands: [
      ...[
        `--zone=trusted --add-interface=${interfaceName}`,
        `--new-policy=${interfaceName}`,
        `${policy} --set-target=ACCEPT`,
        `${policy} --add-ingress-zone=ANY`,
        `${policy} --add-egress-zone=trusted`,
      ].map((rest) => `firewall-cmd --permanent ${rest}`),
      'firewall-cmd --reload',
    ],
    fixes: [],
  };
}

function plainNft(
  chain: FilterChain,
  interfaceName: string,
  links: readonly string[],
): FirewallRemedy {
  const rule = `nft insert rule ${chain.family} ${chain.table} ${chain.name}`;
  const commands = placesOf(chain, interfaceName, links).map(
    ([way, link]) => `${rule} ${way === 'in' ? 'iifname' : 'oifname'} ${link} accept`,
  );
  return { product: 'nftables', commands, fixes: [] };
}
