/**
 * The rules in the kernel against what a policy means: random networks and policies, of each a
 * replica's compiled rules, and datagrams through them. What comes is what the evaluator allows.
 *
 *   left, with all even addresses ── causeway0 [ right, with all odd ones, and the rules ]
 *                                 ── signal
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Lab } from '../../lab/lab.ts';
import { connect } from '../../lab/namespace.ts';
import { AddressOwners } from '../../src/control/policy/address-owners.ts';
import { bytesOf, type NumericAddress } from '../../src/control/policy/address-set.ts';
import { compilePolicy } from '../../src/control/policy/compile.ts';
import { PolicyEvaluator } from '../../src/control/policy/evaluate.ts';
import { UDP } from '../../src/control/policy/services.ts';
import { encodeRuleset } from '../../src/gateway/policy/policy-ruleset.ts';
import { formatAddress } from '../../src/routing/address.ts';
import { flows, holders, policies } from '../unit/control/policy/policy-world.ts';
import { netnsSuite } from './suite.ts';

const PROGRAM = new URL('../../lab/programs/flow-end.ts', import.meta.url).pathname;
const SIGNAL = 9;
const QUESTIONS = {
  meshRanges: { ipv4: '100.96.0.0/12', ipv6: 'fd99::/48' },
  mesh: { ipv4: '100.96.0.1/32', ipv6: 'fd99::1/128' },
  answers: true,
};
const POLICIES = 40;
const FLOWS = 40;

const textOf = (address: NumericAddress): string => formatAddress(bytesOf(address));
const isEven = ({ value }: NumericAddress): boolean => value % 2n === 0n;

/** Addresses of policy-world.ts with this parity. */
function addresses(parity: 0 | 1): string[] {
  const numbers = Array.from({ length: 16 }, (_, n) => n).filter((n) => n % 2 === parity);
  return numbers.flatMap((n) => [
    ...[`10.0.0.${n}/32`, `fd00::${n.toString(16)}/128`],
    ...[`10.0.16.${n}/32`, `fd00::100${n.toString(16)}/128`],
    ...(n < 5 ? [`100.96.0.${n}/32`, `fd99::${n}/128`] : []),
  ]);
}

netnsSuite('compiled policies', ['nft'], () => {
  test('let pass what the policy allows, and nothing else', { timeout: 120_000 }, async () => {
    await using lab = new Lab();
    const [left, right] = await lab.namespaces('left', 'right');
    await connect(
      { namespace: left, link: 'mesh', addresses: ['192.0.2.1/24', '2001:db8::1/64'] },
      { namespace: right, link: 'causeway0', addresses: ['192.0.2.2/24', '2001:db8::2/64'] },
    );
    await connect(
      { namespace: left, link: 'signal', addresses: ['198.51.100.1/24'] },
      { namespace: right, link: 'signal', addresses: ['198.51.100.2/24'] },
    );
    // A TUN has no neighbours to discover, which the rules would drop.
    const mac = '02:00:00:00:00:02';
    await right.ip(`link set causeway0 address ${mac}`);
    await left.ip(`neighbor add 2001:db8::2 lladdr ${mac} dev mesh nud permanent`);
    const onLo = (text: string): string => `address add ${text} dev lo`;
    const via = ['10.0.0.0/16', '100.96.0.0/24'].map((net) => `route add ${net} via 192.0.2.2`);
    const via6 = ['fd00::/64', 'fd99::/64'].map((net) => `route add ${net} via 2001:db8::2`);
    await left.ip(...addresses(0).map(onLo), ...via, ...via6);
    await right.ip(...addresses(1).map(onLo));
    const receiver = right.start([
      process.execPath,
      PROGRAM,
      'receive',
      String(SIGNAL),
      '1',
      '2',
      '3',
    ]);
    const sender = left.start([process.execPath, PROGRAM, 'send']);
    await Promise.all([receiver.line(/ready/), sender.line(/ready/)]);

    const seed = Math.floor(Math.random() * 2 ** 31);
    const cases = fc.sample(
      fc.tuple(holders, policies, fc.array(flows, { minLength: FLOWS, maxLength: FLOWS })),
      { numRuns: POLICIES, seed },
    );
    let allowed = 0;
    let denied = 0;
    for (const [i, [all, policy, some]] of cases.entries()) {
      const owners = new AddressOwners(all);
      const evaluator = new PolicyEvaluator(policy, owners);
      const udp = some
        .map((flow, n) => ({ ...flow, protocol: UDP, port: 1 + (n % 3) }))
        .filter(({ source, destination }) => isEven(source) && !isEven(destination));
      const own = owners.carriersOf(udp[0]?.source ?? udp[0]!.destination)[0] ?? 'nobody';
      const carried = udp.filter(({ source, destination }) =>
        [source, destination].some((end) => owners.carriersOf(end).includes(own)),
      );
      const rules = compilePolicy(policy, owners, own);
      await right.nft(encodeRuleset('causeway0', rules, QUESTIONS));
      const wanted = carried.flatMap((flow, n) =>
        evaluator.explain(flow).verdict === 'allow' ? [n] : [],
      );
      allowed += wanted.length;
      denied += carried.length - wanted.length;
      const datagrams = carried.map(({ source, destination, port }, n) => {
        return [n, textOf(source), textOf(destination), port];
      });
      const signal = [-1, '198.51.100.1', '198.51.100.2', SIGNAL];
      const came = receiver.nextLine(/^\[.*\]$/);
      sender.write(`${JSON.stringify([...datagrams, signal])}\n`);
      const got = JSON.parse((await came)[0]) as number[];
      const context = JSON.stringify({ seed, i, own, policy, all, datagrams }, null, 1);
      expect(
        got.toSorted((a, b) => a - b),
        context,
      ).toEqual(wanted);
    }
    // Neither all nor nothing, or the test says nothing.
    expect(Math.min(allowed, denied)).toBeGreaterThan(20);
  });
});
