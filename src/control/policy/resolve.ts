/** A policy document with its names looked up: what is unknown, or can never decide, is refused. */
import { CausewayError } from '../../errors.ts';
import { formatPrefix, parsePrefixStrict } from '../../routing/prefix.ts';
import type { ConnectorId } from '../model.ts';
import { type DocumentRule, describePath, type ParsedDocument } from './document.ts';
import type { Policy, Rule, Selector } from './policy.ts';
import { hasPorts, mergePorts, type PortRange, PROTOCOLS, parsePorts } from './services.ts';
import { shadowedRule } from './shadows.ts';

/** Id of a connector of the policy's network; undefined = there is none. */
export type ConnectorLookup = (name: string) => ConnectorId | undefined;

/** @throws CausewayError POLICY_SYNTAX, POLICY_UNKNOWN, POLICY_SHADOWED */
export function resolvePolicy(
  parsed: ParsedDocument,
  version: number,
  lookup: ConnectorLookup,
): Policy {
  const policy = resolveNames(parsed, version, lookup);
  const shadow = shadowedRule(policy);
  if (shadow === undefined) return policy;
  const { rule, by } = shadow;
  throw new CausewayError(
    'POLICY_SHADOWED',
    `Rule ${rule}${parsed.where(['rules', rule - 1])} never decides: rule ${by}${parsed.where(['rules', by - 1])} decides all that it matches. Put it before rule ${by}, or remove it.`,
  );
}

/** As `resolvePolicy`, of a document that has passed it before. */
export function resolveNames(
  parsed: ParsedDocument,
  version: number,
  lookup: ConnectorLookup,
): Policy {
  return new Resolver(parsed, lookup).policy(version);
}

class Resolver {
  readonly #parsed: ParsedDocument;
  readonly #lookup: ConnectorLookup;

  constructor(parsed: ParsedDocument, lookup: ConnectorLookup) {
    this.#parsed = parsed;
    this.#lookup = lookup;
  }

  policy(version: number): Policy {
    const { document } = this.#parsed;
    const tags = Object.entries(document.tags ?? {}).map(([tag, names]) => {
      return [tag, names.map((name, i) => this.#connector(name, ['tags', tag, i]))] as const;
    });
    return {
      version,
      default: document.default,
      tags: Object.fromEntries(tags),
      rules: document.rules.map((rule, i) => this.#rule(rule, i)),
    };
  }

  #rule(rule: DocumentRule, i: number): Rule {
    const path = ['rules', i];
    const protocols = listOf(rule.protocol).flatMap((name) => [...PROTOCOLS[name]]);
    const icmp = listOf(rule.icmp);
    if (rule.ports !== undefined && (protocols.length === 0 || !protocols.every(hasPorts))) {
      throw this.#fault([...path, 'ports'], 'ports need "protocol": "tcp", "udp" or both');
    }
    if (icmp.length > 0 && rule.protocol !== 'icmp') {
      throw this.#fault([...path, 'icmp'], 'ICMP types need "protocol": "icmp"');
    }
    return {
      action: rule.action,
      from: this.#selector(rule.from, [...path, 'from']),
      to: this.#selector(rule.to, [...path, 'to']),
      protocols: [...new Set(protocols)],
      ports: mergePorts(listOf(rule.ports).map((port) => this.#ports(port, [...path, 'ports']))),
      icmp,
    };
  }

  #ports(port: string | number, path: PropertyKey[]): PortRange {
    const parsed = parsePorts(String(port));
    if (parsed !== undefined) return parsed;
    throw this.#fault(path, `${JSON.stringify(port)} is neither a port nor a range as "8000-8100"`);
  }

  #selector(words: DocumentRule['from'], path: PropertyKey[]): Selector | null {
    const selector: Selector = { connectors: [], tags: [], prefixes: [] };
    const list = listOf(words);
    if (list.length === 0 || list.includes('any')) return null;
    for (const [i, word] of list.entries()) {
      const here = Array.isArray(words) ? [...path, i] : path;
      if (word === 'internet') selector.internet = true;
      else if (word.startsWith('tag:')) selector.tags.push(this.#tag(word.slice(4), here));
      else if (/[.:/]/.test(word)) selector.prefixes.push(this.#prefix(word, here));
      else selector.connectors.push(this.#connector(word, here));
    }
    return selector;
  }

  #prefix(word: string, path: PropertyKey[]): string {
    const parsed = parsePrefixStrict(word);
    if (parsed === undefined) {
      throw this.#fault(path, `"${word}" is no prefix, as 10.1.0.0/16 or 2001:db8::/32`);
    }
    const text = formatPrefix(parsed.prefix);
    if (!parsed.hostBits) return text;
    throw this.#fault(path, `"${word}" has bits behind its length: did you mean ${text}?`);
  }

  #tag(tag: string, path: PropertyKey[]): string {
    if (Object.hasOwn(this.#parsed.document.tags ?? {}, tag)) return tag;
    throw this.#unknown(path, `there is no tag "${tag}". Add it to "tags", or correct the name`);
  }

  #connector(name: string, path: PropertyKey[]): ConnectorId {
    const found = this.#lookup(name);
    if (found !== undefined) return found;
    const text = `there is no connector "${name}" in this virtual network. \`connector ls\` shows their names; a tag is written "tag:${name}"`;
    throw this.#unknown(path, text);
  }

  #fault(path: readonly PropertyKey[], message: string): CausewayError {
    return this.#error('POLICY_SYNTAX', path, message);
  }

  #unknown(path: readonly PropertyKey[], message: string): CausewayError {
    return this.#error('POLICY_UNKNOWN', path, message);
  }

  #error(
    code: 'POLICY_SYNTAX' | 'POLICY_UNKNOWN',
    path: readonly PropertyKey[],
    message: string,
  ): CausewayError {
    const text = `The policy is not valid: ${describePath(path)}${this.#parsed.where(path)}: ${message}.`;
    return new CausewayError(code, text);
  }
}

function listOf<T>(value: T | readonly T[] | undefined): T[] {
  if (value === undefined) return [];
  return Array.isArray(value) ? [...(value as readonly T[])] : [value as T];
}
