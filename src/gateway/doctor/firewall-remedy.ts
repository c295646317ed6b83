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
 * @param chain a base chain at the forward hook that drops
 * @param chains all of the host
 */
export function forwardRemedy(
  chain: FilterChain,
  chains: readonly FilterChain[],
  interfaceName: string,
): FirewallRemedy {
  const beside = chains.filter(
    ({ tool, family, table }) =>
      tool === chain.tool && family === chain.family && table === chain.table,
  );
  if (chain.tool === 'nft') {
    return chain.table === 'firewalld' ? firewalld(interfaceName) : plainNft(chain, interfaceName);
  }
  const program = iptablesProgram(chain);
  if (beside.some(({ name }) => name === 'DOCKER-USER')) {
    return docker(program, interfaceName);
  }
  if (beside.some(({ name }) => name.startsWith('ufw'))) return ufw(interfaceName);
  if (beside.some(({ name }) => name === 'FORWARD_direct')) return firewalld(interfaceName);
  return {
    product: 'iptables',
    commands: ways(interfaceName).map((way) => `${program} -I ${chain.name} ${way} -j ACCEPT`),
    fixes: [],
  };
}

function ways(interfaceName: string): [string, string] {
  return [`-i ${interfaceName}`, `-o ${interfaceName}`];
}

export function iptablesProgram({ tool, family }: Pick<FilterChain, 'tool' | 'family'>): string {
  const base = family === 'ip6' ? 'ip6tables' : 'iptables';
  return tool === 'iptables-legacy' ? `${base}-legacy` : base;
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

function plainNft({ family, table, name }: FilterChain, interfaceName: string): FirewallRemedy {
  return {
    product: 'nftables',
    commands: ['iifname', 'oifname'].map(
      (way) => `nft insert rule ${family} ${table} ${name} ${way} ${interfaceName} accept`,
    ),
    fixes: [],
  };
}
