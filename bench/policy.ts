/**
 * One TCP stream between two gateways with a policy of 1,000 rules in force at both, against the same
 * pair without one, in turn. The stream is allowed by the last rule; what it costs is the kernel's.
 *
 *      west ═══ east
 */

import { ours } from '../lab/implementation.ts';
import { type Ends, INNER } from '../lab/tunnel-pair.ts';
import { AddressOwners } from '../src/control/policy/address-owners.ts';
import { compilePolicy } from '../src/control/policy/compile.ts';
import type { Rule, Selector } from '../src/control/policy/policy.ts';
import { encodeRuleset, policyTableName } from '../src/gateway/policy/policy-ruleset.ts';
import { measureThroughput } from './iperf.ts';
import { median, note, openPair } from './measure.ts';
import type { Figure, Options } from './options.ts';

const INTERFACE = 'wg0';
const RULES = 1_000;
const WEST = '00000000-0000-4000-8000-000000000001';
const EAST = '00000000-0000-4000-8000-000000000002';

/** Every rule but the last is about other ports and other addresses of the two sites. */
function ruleset(): string {
  const side = (prefix: string): Selector => ({ connectors: [], tags: [], prefixes: [prefix] });
  const rules = Array.from({ length: RULES - 1 }, (_, i): Rule => {
    const from = side(`10.${200 + (i >> 8)}.${i & 255}.0/24`);
    return {
      ...{ action: i % 3 === 0 ? 'deny' : 'allow', from, to: null },
      ...{ protocols: [6], ports: [[1_000 + i, 1_000 + i]], icmp: [] },
    };
  });
  const last: Rule = {
    ...{ action: 'allow', from: null, to: null },
    ...{ protocols: [6], ports: [[5_201, 5_201]], icmp: [] },
  };
  const policy = { version: 1, default: 'deny' as const, tags: {}, rules: [...rules, last] };
  const owners = new AddressOwners([
    { connector: WEST, prefixes: [`${INNER.left}/32`, '10.200.0.0/14'] },
    { connector: EAST, prefixes: [`${INNER.right}/32`] },
  ]);
  return encodeRuleset(INTERFACE, compilePolicy(policy, owners, WEST), {
    meshRanges: { ipv4: '100.96.0.0/12', ipv6: 'fd00:96::/48' },
    mesh: { ipv4: '100.96.0.1/32', ipv6: 'fd00:96::1/128' },
    answers: true,
  });
}

export async function policy(options: Options): Promise<Figure[]> {
  await using pair = await openPair(ours());
  const rates = { policy: [] as number[], none: [] as number[] };
  const text = ruleset();
  const measure = (ends: Ends): Promise<number> => measureThroughput(ends, options.seconds ?? 5);
  const withPolicy = async (): Promise<void> => {
    for (const namespace of [pair.west, pair.east]) await namespace.nft(text);
    rates.policy.push(await measure(pair));
    for (const namespace of [pair.west, pair.east]) {
      await namespace.run(['nft', 'delete', 'table', 'inet', policyTableName(INTERFACE)]);
    }
  };
  const turn = [withPolicy, async () => rates.none.push(await measure(pair))];
  for (let i = 0; i < options.pairs; i++) {
    for (const side of i % 2 === 0 ? turn : turn.toReversed()) await side();
    note(`  pair ${i + 1}: ${rates.policy[i]!.toFixed(0)} of ${rates.none[i]!.toFixed(0)}`);
  }
  const measured = { ours: median(rates.policy), peer: median(rates.none) };
  const budget = { least: 0.9 };
  return [{ part: '', ...measured, unit: 'Mbit/s', budget, against: 'ratio', reference: 'none' }];
}
