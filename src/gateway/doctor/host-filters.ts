/**
 * The host's packet filters, as the tools that are installed show them: nftables by `nft`, the tables
 * of iptables by `iptables-save` where their rules are in its words, and those of the older kernel
 * interface by `iptables-legacy-save`. Our own tables are left out.
 */
import { readFile } from 'node:fs/promises';
import { tryCommand } from '../../tun/command.ts';
import { tableName } from '../../tun/nftables.ts';
import type { FilterChain } from './filter-model.ts';
import { parseIptablesSave } from './iptables-save.ts';
import { parseNftRuleset } from './nft-ruleset.ts';

export interface HostFilters {
  readonly chains: readonly FilterChain[];
  /** Why they could not be read, or not all of them. */
  readonly unread: string | undefined;
}

/** Beginning of the names of our tables. */
const OURS = tableName('');

export async function readHostFilters(): Promise<HostFilters> {
  const unread: string[] = [];
  const read = async (file: string, ...args: string[]): Promise<string> => {
    const done = await tryCommand(file, args).catch(() => undefined);
    if (done?.code === 0) return done.stdout;
    const why = done === undefined ? 'it is not installed' : done.stderr.trim().split('\n')[0];
    unread.push(`\`${[file, ...args].join(' ')}\`: ${why || 'it failed'}`);
    return '';
  };
  // Without the elements of sets: those of a policy may be many.
  const { chains: all, compatible } = parseNftRuleset(
    parseJson(await read('nft', '-j', '-t', 'list', 'ruleset')),
  );
  const chains = all.filter(
    ({ family, table }) => !table.startsWith(OURS) && !compatible.has(`${family} ${table}`),
  );
  for (const family of [4, 6] as const) {
    const name = family === 4 ? 'ip' : 'ip6';
    const own = [...compatible].filter((table) => table.split(' ')[0] === name);
    if (own.length > 0) {
      const text = await read(`${name}tables-nft-save`);
      const parsed = parseIptablesSave(text, family, 'iptables');
      chains.push(...parsed.filter(({ table }) => own.includes(`${name} ${table}`)));
    }
    // Asked only where there are some: the question itself would load the modules.
    const legacy = await readFile(`/proc/net/${name}_tables_names`, 'utf8').catch(() => '');
    if (legacy.trim() === '') continue;
    const text = await read(`${name}tables-legacy-save`);
    chains.push(...parseIptablesSave(text, family, 'iptables-legacy'));
  }
  return { chains, unread: unread.length === 0 ? undefined : unread.join('; ') };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
