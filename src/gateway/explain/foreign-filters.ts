/**
 * Chains of others that drop what passes this host: their policy is to drop, and no rule of them names the
 * mesh's interface.
 */
import { type JsonObject, objectsOf, stringOf, tryCommand } from '../../tun/command.ts';
import { identifierSchema, type KernelFacts } from './side-facts.ts';

type Filter = KernelFacts['filters'][number];

const MOST = 8;

/** @param hooks the ways that the packet takes */
export async function readFilters(
  interfaceName: string,
  family: 4 | 6,
  hooks: readonly Filter['hook'][],
): Promise<Filter[]> {
  const { code, stdout } = await tryCommand('nft', ['-j', 'list', 'ruleset']).catch(() => {
    return { code: 1, stdout: '' };
  });
  return code === 0 ? findFilters(stdout, interfaceName, family, hooks) : [];
}

/** @param ruleset what `nft -j list ruleset` printed */
export function findFilters(
  ruleset: string,
  interfaceName: string,
  family: 4 | 6,
  hooks: readonly Filter['hook'][],
): Filter[] {
  const objects = objectsOf((JSON.parse(ruleset) as { nftables?: unknown }).nftables);
  const chains = objects.flatMap(({ chain }) => objectsOf([chain]));
  const rules = objects.flatMap(({ rule }) => objectsOf([rule]));
  const families: readonly Filter['family'][] = family === 4 ? ['ip', 'inet'] : ['ip6', 'inet'];
  const isOf = (rule: JsonObject, chain: JsonObject): boolean =>
    rule.family === chain.family && rule.table === chain.table && rule.chain === chain.name;
  const found = chains.flatMap((chain): Filter[] => {
    const of = families.find((one) => one === chain.family);
    const hook = hooks.find((one) => one === chain.hook);
    const table = identifierSchema.safeParse(stringOf(chain, 'table')).data;
    const name = identifierSchema.safeParse(stringOf(chain, 'name')).data;
    if (chain.policy !== 'drop' || of === undefined || hook === undefined) return [];
    if (table === undefined || name === undefined) return [];
    const named = rules.some(
      (rule) => isOf(rule, chain) && JSON.stringify(rule).includes(`"${interfaceName}"`),
    );
    return named ? [] : [{ family: of, table, chain: name, hook }];
  });
  return found.slice(0, MOST);
}
