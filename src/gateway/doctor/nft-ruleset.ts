/**
 * Reads what `nft -j list ruleset` prints (libnftables-json(5)). Expressions that are not known here
 * make their rule one that matches perhaps. Pure.
 */
import { type JsonObject, numberOf, objectsOf, stringOf } from '../../tun/command.ts';
import {
  type FilterChain,
  type FilterRule,
  MAYBE,
  type Matcher,
  type Verdict,
} from './filter-model.ts';
import { compare, matcherOf } from './nft-match.ts';

/** Statements that look at nothing and decide nothing. */
const WITHOUT_EFFECT = new Set([
  'counter',
  'log',
  'mangle',
  'notrack',
  'dup',
  'set',
  'map',
  'flow',
  'ct helper',
  'ct timeout',
  'ct expectation',
  'tproxy',
  'last',
  'reset',
]);

/** Statements that end a chain for addresses. */
const REWRITES = ['masquerade', 'snat', 'dnat', 'redirect'] as const;

/** Chains of iptables. */
const CUSTOMARY = /^(PREROUTING|INPUT|FORWARD|OUTPUT|POSTROUTING)$/;

export interface NftRuleset {
  readonly chains: readonly FilterChain[];
  /** `FAMILY TABLE` of those that have words in them which only `iptables-save` knows. */
  readonly compatible: ReadonlySet<string>;
  /** Of those that look like tables of iptables-nft, by the names of their base chains. */
  readonly customary: ReadonlySet<string>;
}

interface Chain extends Omit<FilterChain, 'rules'> {
  readonly rules: FilterRule[];
}

/** @param value what nft printed, parsed */
export function parseNftRuleset(value: unknown): NftRuleset {
  const objects = objectsOf((value as { nftables?: unknown } | null)?.nftables);
  const chains = new Map<string, Chain>();
  const compatible = new Set<string>();
  const customary = new Set<string>();
  for (const { chain } of objects) {
    for (const one of objectsOf([chain])) {
      const [family = '', table = '', name = ''] = ['family', 'table', 'name'].map((key) =>
        stringOf(one, key),
      );
      if (name === '') continue;
      if (CUSTOMARY.test(name) && family !== 'inet') customary.add(`${family} ${table}`);
      chains.set(`${family} ${table} ${name}`, {
        tool: 'nft',
        family,
        table,
        name,
        hook: stringOf(one, 'hook'),
        type: stringOf(one, 'type'),
        policy:
          stringOf(one, 'hook') === undefined
            ? undefined
            : stringOf(one, 'policy') === 'drop'
              ? 'drop'
              : 'accept',
        rules: [],
      });
    }
  }
  const sets = namedSets(objects);
  for (const { rule } of objects) {
    for (const one of objectsOf([rule])) {
      const table = `${stringOf(one, 'family')} ${stringOf(one, 'table')}`;
      const expressions = objectsOf(one.expr).map((expression) =>
        withElements(expression, (name) => sets.get(`${table} ${name}`)),
      );
      if (expressions.some((expression) => 'xt' in expression)) compatible.add(table);
      chains
        .get(`${table} ${stringOf(one, 'chain')}`)
        ?.rules.push(...parseRule(expressions, `handle ${numberOf(one, 'handle')}`));
    }
  }
  return { chains: [...chains.values()], compatible, customary };
}

/** Elements of the sets that are listed with them, by `FAMILY TABLE @NAME`. */
function namedSets(objects: readonly JsonObject[]): Map<string, readonly unknown[]> {
  const found = new Map<string, readonly unknown[]>();
  for (const { set } of objects) {
    for (const one of objectsOf([set])) {
      const [family, table, name] = ['family', 'table', 'name'].map((key) => stringOf(one, key));
      if (Array.isArray(one.elem)) found.set(`${family} ${table} @${name}`, one.elem);
    }
  }
  return found;
}

/** A match with a named set as one with its elements, if they are known. */
function withElements(
  expression: JsonObject,
  elementsOf: (name: string) => readonly unknown[] | undefined,
): JsonObject {
  const match = expression.match as JsonObject | undefined;
  const name = stringOf(match, 'right');
  const set = name === undefined ? undefined : elementsOf(name);
  return set === undefined ? expression : { match: { ...match, right: { set } } };
}

/**
 * Sets of interface names, which are short and decide what a chain does with the site; those of
 * addresses may have any number of elements.
 */
export function interfaceSets(value: unknown): { family: string; table: string; name: string }[] {
  const objects = objectsOf((value as { nftables?: unknown } | null)?.nftables);
  return objects
    .flatMap(({ set }) => objectsOf([set]))
    .filter(({ type }) => (Array.isArray(type) ? type : [type]).includes('ifname'))
    .map((one) => {
      const [family = '', table = '', name = ''] = ['family', 'table', 'name'].map((key) =>
        stringOf(one, key),
      );
      return { family, table, name };
    });
}

/** A verdict map becomes a rule for each of its elements. */
function parseRule(expressions: readonly JsonObject[], handle: string): FilterRule[] {
  const matchers: Matcher[] = [];
  const rules: FilterRule[] = [];
  for (const expression of expressions) {
    const verdict = verdictOf(expression) ?? rewriteOf(expression, handle);
    if (verdict !== undefined) {
      rules.push({ matchers: [...matchers], verdict });
      continue;
    }
    const [kind = '', body] = Object.entries(expression)[0] ?? [];
    if (kind === 'match') matchers.push(matcherOf(body as JsonObject));
    else if (kind === 'vmap') rules.push(...mapRules(matchers, body as JsonObject));
    else if (!WITHOUT_EFFECT.has(kind) && kind !== 'continue') matchers.push(MAYBE);
  }
  return rules;
}

function verdictOf(expression: JsonObject): Verdict | undefined {
  if ('accept' in expression) return { kind: 'accept' };
  if ('drop' in expression || 'reject' in expression) return { kind: 'drop' };
  if ('return' in expression) return { kind: 'return' };
  for (const kind of ['jump', 'goto'] as const) {
    const target = stringOf(expression[kind] as JsonObject | undefined, 'target');
    if (target !== undefined) return { kind, chain: target };
  }
  return undefined;
}

/** JSON has no words for a rule: its kind and its handle say which one it is. */
function rewriteOf(expression: JsonObject, handle: string): Verdict | undefined {
  const kind = REWRITES.find((name) => name in expression);
  return kind === undefined ? undefined : { kind: 'rewrite', rule: `${kind}, ${handle}` };
}

function mapRules(matchers: readonly Matcher[], { key, data }: JsonObject): FilterRule[] {
  const elements = (data as { set?: unknown } | undefined)?.set;
  if (!Array.isArray(elements)) {
    return [{ matchers: [...matchers, MAYBE], verdict: { kind: 'accept' } }];
  }
  return elements.flatMap((element): FilterRule[] => {
    if (!Array.isArray(element)) return [];
    const [value, action] = element as [unknown, JsonObject];
    const matcher: Matcher = (packet) => compare(packet, key, value);
    return [{ matchers: [...matchers, matcher], verdict: verdictOf(action) }];
  });
}
