/**
 * Reads what `nft -j list ruleset` prints (libnftables-json(5)). Expressions that are not known here
 * make their rule one that matches perhaps. Pure.
 */
import { type JsonObject, objectsOf, stringOf } from '../../tun/command.ts';
import {
  all,
  any,
  type FilterChain,
  type FilterRule,
  MAYBE,
  type Matcher,
  matchesAddress,
  matchesInterface,
  not,
  type ProbePacket,
  type Ternary,
  type Verdict,
} from './filter-model.ts';
import { protocolNumber } from './protocol-numbers.ts';

/** Statements that look at nothing and decide nothing. */
const WITHOUT_EFFECT = new Set([
  'counter',
  'log',
  'mangle',
  'notrack',
  'snat',
  'dnat',
  'masquerade',
  'redirect',
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
  for (const { rule } of objects) {
    for (const one of objectsOf([rule])) {
      const table = `${stringOf(one, 'family')} ${stringOf(one, 'table')}`;
      const expressions = objectsOf(one.expr);
      if (expressions.some((expression) => 'xt' in expression)) compatible.add(table);
      chains.get(`${table} ${stringOf(one, 'chain')}`)?.rules.push(...parseRule(expressions));
    }
  }
  return { chains: [...chains.values()], compatible, customary };
}

/** A verdict map becomes a rule for each of its elements. */
function parseRule(expressions: readonly JsonObject[]): FilterRule[] {
  const matchers: Matcher[] = [];
  const rules: FilterRule[] = [];
  for (const expression of expressions) {
    const verdict = verdictOf(expression);
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

function matcherOf({ op, left, right }: JsonObject): Matcher {
  const matcher: Matcher = (packet) => compare(packet, left, right);
  if (op === '!=') return (packet) => not(matcher(packet));
  return op === '==' || op === 'in' ? matcher : MAYBE;
}

/** Whether what `left` reads of the packet is `right`: a value, a range, a prefix or a set of them. */
function compare(packet: ProbePacket, left: unknown, right: unknown): Ternary {
  if (right !== null && typeof right === 'object' && !Array.isArray(right) && 'set' in right) {
    const { set } = right as { set: unknown };
    return any((Array.isArray(set) ? set : [set]).map((one) => compare(packet, left, one)));
  }
  if (Array.isArray(right)) return any(right.map((one) => compare(packet, left, one)));
  if (typeof right === 'string' && right.startsWith('@')) return 'maybe';
  const { meta, payload, ct, concat } = (left ?? {}) as Readonly<Record<string, JsonObject>>;
  if (Array.isArray(concat)) {
    const parts = (right as { concat?: unknown } | null)?.concat;
    if (!Array.isArray(parts)) return 'maybe';
    return all(concat.map((part, i) => compare(packet, part, parts[i])));
  }
  if (meta !== undefined) return compareMeta(packet, stringOf(meta, 'key'), right);
  if (payload !== undefined) return comparePayload(packet, payload, right);
  if (ct !== undefined) return compareConnection(packet, stringOf(ct, 'key'), right);
  return 'maybe';
}

function compareMeta(packet: ProbePacket, key: string | undefined, right: unknown): Ternary {
  switch (key) {
    case 'iifname':
    case 'iif':
      return typeof right === 'string' ? matchesInterface(packet.in, right, '*') : 'maybe';
    case 'oifname':
    case 'oif':
      return typeof right === 'string' ? matchesInterface(packet.out, right, '*') : 'maybe';
    case 'nfproto':
      return right === `ipv${packet.family}` ? 'yes' : 'no';
    case 'protocol':
      return right === (packet.family === 4 ? 'ip' : 'ip6') ? 'yes' : 'no';
    case 'l4proto':
      return sameNumber(packet.protocol, right);
    default:
      return 'maybe';
  }
}

function comparePayload(packet: ProbePacket, payload: JsonObject, right: unknown): Ternary {
  const protocol = stringOf(payload, 'protocol');
  const field = stringOf(payload, 'field');
  if (protocol === 'ip' || protocol === 'ip6') {
    if (packet.family !== (protocol === 'ip' ? 4 : 6)) return 'no';
    if (field === 'saddr') return compareAddress(packet.source, right);
    if (field === 'daddr') return compareAddress(packet.destination, right);
    const isProtocol = field === 'protocol' || field === 'nexthdr';
    return isProtocol ? sameNumber(packet.protocol, right) : 'maybe';
  }
  if (protocol === undefined) return 'maybe';
  if (protocol !== 'th' && sameNumber(packet.protocol, protocol) === 'no') return 'no';
  const port = { sport: packet.sourcePort, dport: packet.destinationPort }[field ?? ''];
  return port === undefined ? 'maybe' : comparePort(port, right);
}

function comparePort(port: number, right: unknown): Ternary {
  const range = (right as { range?: unknown } | null)?.range;
  if (Array.isArray(range)) {
    return port >= Number(range[0]) && port <= Number(range[1]) ? 'yes' : 'no';
  }
  return typeof right === 'number' ? (port === right ? 'yes' : 'no') : 'maybe';
}

function compareAddress(address: Uint8Array | undefined, right: unknown): Ternary {
  if (typeof right === 'string') return matchesAddress(address, right);
  const prefix = (right as { prefix?: JsonObject } | null)?.prefix;
  return prefix === undefined ? 'maybe' : matchesAddress(address, `${prefix.addr}/${prefix.len}`);
}

function compareConnection(packet: ProbePacket, key: string | undefined, right: unknown): Ternary {
  if (key === 'state') return right === packet.state ? 'yes' : 'no';
  // Nobody rewrites the addresses of what a probe stands for.
  if (key === 'status' && (right === 'dnat' || right === 'snat')) return 'no';
  return 'maybe';
}

function sameNumber(known: number | undefined, right: unknown): Ternary {
  const wanted = typeof right === 'number' ? right : protocolNumber(String(right));
  if (known === undefined || wanted === undefined) return 'maybe';
  return known === wanted ? 'yes' : 'no';
}
