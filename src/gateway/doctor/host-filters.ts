/**
 * The host's packet filters, as the tools that are installed show them: nftables by `nft`, the tables
 * of iptables by `iptables-save` where their rules are in its words, and those of the older kernel
 * interface by `iptables-legacy-save`. Our own tables are left out.
 */
import { readFile } from 'node:fs/promises';
import { type JsonObject, objectsOf, tryCommand } from '../../tun/command.ts';
import { tableName } from '../../tun/nftables.ts';
import type { FilterChain } from './filter-model.ts';
import { parseIptablesSave } from './iptables-save.ts';
import { interfaceSets, parseNftRuleset } from './nft-ruleset.ts';

export interface HostFilters {
  readonly chains: readonly FilterChain[];
  /** Why they could not be read, or not all of them. */
  readonly unread: string | undefined;
}

/** Beginning of the names of our tables. */
const OURS = tableName('');
/** Of interface names, whose elements are asked for. */
const MOST_SETS = 16;

export async function readHostFilters(): Promise<HostFilters> {
  const unread: string[] = [];
  const read = async (needed: boolean, file: string, ...args: string[]): Promise<string> => {
    const done = await tryCommand(file, args).catch(() => undefined);
    if (done?.code === 0) return done.stdout;
    const why = done === undefined ? 'it is not installed' : done.stderr.trim().split('\n')[0];
    if (needed) unread.push(`\`${[file, ...args].join(' ')}\`: ${why || 'it failed'}`);
    return '';
  };
  // Without the elements of sets: those of a policy may be many.
  const listed = parseJson(await read(true, 'nft', '-j', '-t', 'list', 'ruleset'));
  const objects = [listed];
  for (const { family, table, name } of interfaceSets(listed).slice(0, MOST_SETS)) {
    if (table.startsWith(OURS)) continue;
    objects.push(parseJson(await read(false, 'nft', '-j', 'list', 'set', family, table, name)));
  }
  const ruleset = parseNftRuleset({ nftables: objects.flatMap(nftObjects) });
  let chains = ruleset.chains.filter(({ table }) => !table.startsWith(OURS));
  for (const family of [4, 6] as const) {
    const name = family === 4 ? 'ip' : 'ip6';
    const needed = [...ruleset.compatible].some((table) => table.startsWith(`${name} `));
    if (needed || [...ruleset.customary].some((table) => table.startsWith(`${name} `))) {
      const text = await read(needed, `${name}tables-nft-save`);
      const parsed = parseIptablesSave(text, family, 'iptables');
      // Where the tool is not here, what nft makes of its rules is better than nothing.
      const known = new Set(parsed.map(({ table }) => `${name} ${table}`));
      chains = chains.filter(({ family: of, table }) => !known.has(`${of} ${table}`));
      chains.push(...parsed);
    }
    // Asked only where there are some: the question itself would load the modules.
    const legacy = await readFile(`/proc/net/${name}_tables_names`, 'utf8').catch(() => '');
    if (legacy.trim() === '') continue;
    const text = await read(true, `${name}tables-legacy-save`);
    chains.push(...parseIptablesSave(text, family, 'iptables-legacy'));
  }
  return { chains, unread: unread.length === 0 ? undefined : unread.join('; ') };
}

function nftObjects(value: unknown): JsonObject[] {
  return objectsOf((value as { nftables?: unknown } | undefined)?.nftables);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
