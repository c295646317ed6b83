/** A rule in words is one that an operator could have written: read again, it is the same rule. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseDocument } from '../../../../src/control/policy/document.ts';
import type { Rule } from '../../../../src/control/policy/policy.ts';
import { resolveNames } from '../../../../src/control/policy/resolve.ts';
import { formatRule } from '../../../../src/control/policy/rule-text.ts';
import { formatPrefix, parsePrefix } from '../../../../src/routing/prefix.ts';
import { CONNECTORS, policies } from './policy-world.ts';

const NAMES = new Map(CONNECTORS.map((id, i) => [id, `site-${i}`]));

/** The rule that a text says. */
function read(text: string): Rule {
  const parsed = parseDocument(
    `{ "default": "deny", "tags": { "t": [], "u": [] }, "rules": [${text}] }`,
  );
  return resolveNames(parsed, 1, (name) => {
    return CONNECTORS.find((id) => NAMES.get(id) === name) as never;
  }).rules[0]!;
}

const text = (rule: Rule): string => formatRule(rule, (id) => NAMES.get(id));

test('as an operator would write it', () => {
  const words =
    '{ "action": "allow", "from": "site-0", "to": [ "tag:t", "10.2.0.0/16" ], "protocol": "tcp", "ports": [ 22, "8000-8010" ] }';
  expect(text(read(words))).toBe(words);
  const ping = '{ "action": "deny", "protocol": "icmp", "icmp": "echo-request" }';
  expect(text(read(ping))).toBe(ping);
  expect(formatRule(read(words), () => undefined)).toContain('"(deleted)"');
});

test('whatever it says, reading it again gives the same', () => {
  fc.assert(
    fc.property(policies, ({ rules }) => {
      for (const rule of rules) {
        // A side that names nobody cannot be written down.
        const sides = [rule.from, rule.to].filter((side) => side !== null);
        const isEmpty = sides.some(
          (side) =>
            side.connectors.length + side.tags.length + side.prefixes.length === 0 &&
            side.internet !== true,
        );
        if (!isEmpty) expect(normal(read(text(rule)))).toEqual(normal(rule));
      }
    }),
  );
});

/** Without what two ways of writing differ in. */
function normal(rule: Rule): unknown {
  const side = (selector: Rule['from']): unknown =>
    selector === null
      ? null
      : {
          ...selector,
          internet: selector.internet === true,
          prefixes: selector.prefixes.map((prefix) => formatPrefix(parsePrefix(prefix)!)),
        };
  return { ...rule, from: side(rule.from), to: side(rule.to) };
}
