/**
 * A rule of a distributed policy as an operator would write it in the document, on one line. Comments and
 * the order of lists are not kept. Pure.
 */
import type { Rule, Selector } from './policy.ts';
import { PROTOCOL_NAMES, PROTOCOLS } from './services.ts';

/** @param nameOf of a connector by its id; undefined = it is not known */
export function formatRule(rule: Rule, nameOf: (id: string) => string | undefined): string {
  return formatRuleText({
    action: rule.action,
    from: side(rule.from, nameOf),
    to: side(rule.to, nameOf),
    protocol: oneOrMore(protocolNames(rule.protocols)),
    ports: oneOrMore(
      rule.ports.map(([first, last]) => (first === last ? first : `${first}-${last}`)),
    ),
    icmp: oneOrMore(rule.icmp),
  });
}

/** JSON on one line, with spaces at which it may be broken into several. */
export function formatRuleText(rule: object): string {
  return JSON.stringify(rule, null, 1).replace(/\n\s*/g, ' ');
}

function side(
  selector: Selector | null,
  nameOf: (id: string) => string | undefined,
): string | readonly string[] | undefined {
  if (selector === null) return undefined;
  const { connectors, tags, prefixes, internet } = selector;
  return oneOrMore([
    ...connectors.map((id) => nameOf(id) ?? '(deleted)'),
    ...tags.map((tag) => `tag:${tag}`),
    ...prefixes,
    ...(internet === true ? ['internet'] : []),
  ]);
}

function protocolNames(protocols: readonly number[]): string[] {
  return PROTOCOL_NAMES.filter((name) =>
    PROTOCOLS[name].every((number) => protocols.includes(number)),
  );
}

function oneOrMore<T>(list: readonly T[]): T | readonly T[] | undefined {
  return list.length > 1 ? list : list[0];
}
