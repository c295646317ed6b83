/** What is made of a policy against what it means: compiled rules, hidden rules, pairs, owners. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { AddressOwners } from '../../../../src/control/policy/address-owners.ts';
import {
  addressesOf,
  bytesOf,
  contains,
  covers,
} from '../../../../src/control/policy/address-set.ts';
import { compilePolicy, type RuleSet } from '../../../../src/control/policy/compile.ts';
import { CoveringRules, type Side } from '../../../../src/control/policy/covering-rules.ts';
import {
  type Flow,
  matchesService,
  PolicyEvaluator,
} from '../../../../src/control/policy/evaluate.ts';
import type { Policy, Rule, Selector } from '../../../../src/control/policy/policy.ts';
import { hasBit, reachablePairs } from '../../../../src/control/policy/reachable-pairs.ts';
import { connectorsOf } from '../../../../src/control/policy/selection.ts';
import { shadowedRule } from '../../../../src/control/policy/shadows.ts';
import { containsAddress, parsePrefix } from '../../../../src/routing/prefix.ts';
import { CONNECTORS, flows, holders, policies } from './policy-world.ts';

/** The compiled rules as the kernel would take them. */
function run(
  set: RuleSet,
  flow: Flow,
): { verdict: string; rule: number | undefined; logged: number[] } {
  const logged: number[] = [];
  for (const rule of set.rules) {
    const { source, destination } = flow;
    if (!contains(rule.from, source) || !contains(rule.to, destination)) continue;
    if (!matchesService(rule, flow)) continue;
    if (rule.action !== 'log') return { verdict: rule.action, rule: rule.number, logged };
    logged.push(rule.number);
  }
  return { verdict: set.default, rule: undefined, logged };
}

test('an address belongs to the connectors with the longest prefix around it', () => {
  fc.assert(
    fc.property(holders, flows, (all, { source }) => {
      const bytes = bytesOf(source);
      const found = all.flatMap(({ connector, prefixes }) =>
        prefixes
          .map((text) => parsePrefix(text)!)
          .filter((prefix) => prefix.length > 0 && containsAddress(prefix, bytes))
          .map(({ length }) => ({ connector, length })),
      );
      const longest = Math.max(...found.map(({ length }) => length));
      const expected = new Set(
        found.filter(({ length }) => length === longest).map(({ connector }) => connector),
      );
      const owners = new AddressOwners(all);
      expect(new Set(owners.ownersOf(source))).toEqual(expected);
      expect(contains(owners.internet, source)).toBe(expected.size === 0);
      for (const connector of CONNECTORS) {
        expect(contains(owners.setOf(connector), source)).toBe(expected.has(connector));
      }
    }),
    { numRuns: 300 },
  );
});

test('what a replica enforces says the same as the whole policy', () => {
  fc.assert(
    fc.property(
      holders,
      policies,
      fc.array(flows, { minLength: 5, maxLength: 20 }),
      (all, policy, some) => {
        const owners = new AddressOwners(all);
        const evaluator = new PolicyEvaluator(policy, owners);
        for (const own of CONNECTORS) {
          const compiled = compilePolicy(policy, owners, own);
          expect(compiled.rules.length).toBeLessThanOrEqual(policy.rules.length);
          for (const flow of some) {
            const { verdict, rule, logged } = evaluator.explain(flow);
            const ends = [flow.source, flow.destination];
            if (!ends.some((end) => owners.carriersOf(end).includes(own))) continue;
            expect(run(compiled, flow)).toEqual({ verdict, rule, logged });
          }
        }
      },
    ),
    { numRuns: 300 },
  );
});

/** The first rule, by a search through all pairs, that an earlier one covers. */
function hiddenByOne(policy: Policy): { rule: number; by: number } | undefined {
  const list = <T>(outer: readonly T[], inner: readonly T[]): boolean =>
    outer.length === 0 || (inner.length > 0 && inner.every((one) => outer.includes(one)));
  const named = (side: Selector): string[] => [
    ...connectorsOf(policy, side),
    ...(side.internet ? ['internet'] : []),
  ];
  const side = (outer: Selector | null, inner: Selector | null): boolean => {
    if (outer === null || JSON.stringify(outer) === JSON.stringify(inner)) return true;
    if (inner === null || named(inner).length + inner.prefixes.length === 0) return false;
    return (
      named(inner).every((one) => named(outer).includes(one)) &&
      covers(addressesOf(outer.prefixes), addressesOf(inner.prefixes))
    );
  };
  const ports = (outer: Rule, inner: Rule): boolean =>
    outer.ports.length === 0 ||
    (inner.ports.length > 0 &&
      inner.ports.every(([a, b]) => outer.ports.some(([from, to]) => from <= a && b <= to)));
  for (const [i, later] of policy.rules.entries()) {
    const by = policy.rules.slice(0, i).findIndex((earlier) => {
      if (earlier.action === 'log') return false;
      if (!list(earlier.protocols, later.protocols) || !list(earlier.icmp, later.icmp))
        return false;
      return ports(earlier, later) && side(earlier.from, later.from) && side(earlier.to, later.to);
    });
    if (by >= 0) return { rule: i + 1, by: by + 1 };
  }
  return undefined;
}

test('hidden rules are those that a search through all pairs finds', () => {
  fc.assert(
    fc.property(policies, (policy) => {
      expect(shadowedRule(policy)).toEqual(hiddenByOne(policy));
    }),
    { numRuns: 2_000 },
  );
});

test('of 4,096 rules few are asked whether they cover one', () => {
  const nobody = { connectors: new Set<string>(), prefixes: [] };
  const connector = (n: number): Side => ({ ...nobody, id: n, connectors: new Set([`c${n}`]) });
  const prefix = (n: number): Side => {
    return { ...nobody, id: n, prefixes: [`10.${n >> 8}.${n & 255}.0/24`] };
  };
  type Parts = Parameters<CoveringRules['candidates']>;
  const kinds: [most: number, parts: (i: number) => Parts][] = [
    [64, (i) => [connector(i % 64), connector(Math.floor(i / 64)), [[22, 22]]]],
    [0, (i) => [prefix(i), null, []]],
    [0, (i) => [connector(1), connector(2), [[i, i]]]],
    [0, (i) => [null, null, [[i, i]]]],
    [2, (i) => [null, null, [[2 * i, 2 * i + 2]]]],
  ];
  for (const [most, parts] of kinds) {
    const rules = new CoveringRules();
    for (let i = 0; i < 4_096; i++) {
      expect(rules.candidates(...parts(i)).length).toBeLessThanOrEqual(most);
      rules.add(i, ...parts(i));
    }
  }
});

test('a rule that is said to be hidden never decides', () => {
  fc.assert(
    fc.property(holders, policies, fc.array(flows, { maxLength: 20 }), (all, policy, some) => {
      const shadow = shadowedRule(policy);
      fc.pre(shadow !== undefined);
      const evaluator = new PolicyEvaluator(policy, new AddressOwners(all));
      for (const flow of some) {
        const { rule, logged } = evaluator.explain(flow);
        expect(rule).not.toBe(shadow!.rule);
        expect(logged).not.toContain(shadow!.rule);
      }
    }),
    { numRuns: 200 },
  );
});

test('a pair with an allowed flow is never refused, and one is when nothing can be allowed', () => {
  fc.assert(
    fc.property(holders, policies, fc.array(flows, { maxLength: 20 }), (all, policy, some) => {
      const owners = new AddressOwners(all);
      const pairs = reachablePairs(policy, owners, CONNECTORS);
      fc.pre(pairs !== undefined);
      const { classes, rows } = pairs!;
      const evaluator = new PolicyEvaluator(policy, owners);
      for (const flow of some) {
        if (evaluator.explain(flow).verdict === 'deny') continue;
        for (const from of owners.carriersOf(flow.source)) {
          for (const to of owners.carriersOf(flow.destination)) {
            const [a, b] = [classes.get(from)!, classes.get(to)!];
            expect(hasBit(rows[a]!, b)).toBe(true);
            expect(hasBit(rows[b]!, a)).toBe(true);
          }
        }
      }
    }),
    { numRuns: 300 },
  );
  const owners = new AddressOwners(
    CONNECTORS.map((connector, i) => ({ connector, prefixes: [`10.${i}.0.0/16`] })),
  );
  const [a, b, c] = CONNECTORS as [string, string, string];
  const side = (connector: string) => ({
    connectors: [connector as never],
    tags: [],
    prefixes: [],
  });
  const { classes, rows } = reachablePairs(
    {
      version: 1,
      default: 'deny',
      tags: {},
      rules: [{ action: 'allow', from: side(a), to: side(b), protocols: [6], ports: [], icmp: [] }],
    },
    owners,
    CONNECTORS,
  )!;
  const may = (from: string, to: string) => hasBit(rows[classes.get(from)!]!, classes.get(to)!);
  expect([may(a, b), may(b, a), may(a, c), may(c, b), may(c, c)]).toEqual([
    true,
    true,
    false,
    false,
    false,
  ]);
});
