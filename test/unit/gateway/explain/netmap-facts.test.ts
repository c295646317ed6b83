/** Whose addresses are, and who carries them, by a netmap. */
import { expect, test } from 'vitest';
import type { BreakoutWay } from '../../../../src/control/breakout.ts';
import type { Netmap } from '../../../../src/control/netmap.ts';
import { numericAddress } from '../../../../src/control/policy/address-set.ts';
import type { Explanation } from '../../../../src/control/policy/evaluate.ts';
import { farOf, nearOf, policyOf, whoseIs } from '../../../../src/gateway/explain/netmap-facts.ts';
import type { MeshView } from '../../../../src/gateway/mesh/mesh-view.ts';
import type { PeerOffer } from '../../../../src/gateway/mesh/netmap-translation.ts';
import { parsePrefix } from '../../../../src/routing/prefix.ts';
import { netmap } from '../mesh/netmaps.ts';

const address = (text: string) => numericAddress(text)!;
const NO_ROUTES = { conflicts: [], breakout: undefined };
const map = netmap({
  own: [
    ['10.1.0.0/24', true],
    ['10.9.0.0/24', false],
  ],
  peers: [
    { n: 2, prefixes: [['10.2.0.0/16'], ['10.7.0.0/24', 200], ['0.0.0.0/0']] },
    { n: 3, prefixes: [['10.2.3.0/24'], ['10.7.0.0/24', 50]] },
    { n: 4, serving: false },
  ],
});

test('whose an address is', () => {
  expect(whoseIs(map, address('10.1.0.7'))).toEqual({ here: true, others: [] });
  expect(whoseIs(map, address('100.96.0.1'))).toEqual({ here: true, others: [] });
  // Waits for approval; and what nobody has is of the way out.
  expect(whoseIs(map, address('10.9.0.7'))).toEqual({ here: true, others: [] });
  expect(whoseIs(map, address('192.0.2.7'))).toEqual({ here: false, others: ['site-2'] });
  expect(whoseIs(map, address('10.2.3.4'))).toEqual({ here: false, others: ['site-3'] });
  expect(whoseIs(map, address('10.7.0.4')).others).toEqual(['site-2', 'site-3']);
  expect(whoseIs(map, address('fd00::3')).others).toEqual(['site-3']);
  expect(whoseIs(map, address('2001:db8::1'))).toEqual({ here: false, others: [] });
});

test('by which of its prefixes a site has its end', () => {
  expect(nearOf(map, address('100.96.0.1'))).toEqual({ kind: 'mesh', prefix: null });
  expect(nearOf(map, address('10.1.0.1'))).toEqual({ kind: 'route', prefix: '10.1.0.0/24' });
  expect(nearOf(map, address('10.9.0.1'))).toEqual({ kind: 'pending', prefix: '10.9.0.0/24' });
  expect(nearOf(map, address('10.8.0.1'))).toEqual({ kind: 'none', prefix: null });
});

test('the longest prefix wins, then the lowest priority; the others are told', () => {
  const long = farOf(map, address('10.2.3.4'), NO_ROUTES);
  expect(long.chosen).toEqual({ connector: 'site-3', prefix: '10.2.3.0/24', priority: 100 });
  expect(long.others.map(({ prefix }) => prefix)).toEqual(['10.2.0.0/16', '0.0.0.0/0']);
  const preferred = farOf(map, address('10.7.0.4'), NO_ROUTES);
  expect(preferred.chosen).toMatchObject({ connector: 'site-3', priority: 50 });
  expect(farOf(map, address('100.96.0.2'), NO_ROUTES).chosen).toEqual({
    ...{ connector: 'site-2', prefix: null, priority: 0 },
  });
  expect(farOf(map, address('100.96.0.4'), NO_ROUTES).chosen).toBeNull();
});

test('a default route is of nobody but whom Internet traffic leaves by', () => {
  const unused = farOf(map, address('192.0.2.1'), NO_ROUTES);
  expect(unused).toMatchObject({ chosen: null, others: [{ connector: 'site-2' }] });
  const own: BreakoutWay<PeerOffer> = { kind: 'own' };
  const by = { name: 'site-2' } as PeerOffer;
  const through: BreakoutWay<PeerOffer> = { kind: 'through', by, orElse: 'refuse' };
  const used = farOf(map, address('192.0.2.1'), {
    ...{ conflicts: [], breakout: { 4: through, 6: own } },
  });
  expect(used.chosen).toMatchObject({ connector: 'site-2', prefix: '0.0.0.0/0' });
});

test('a conflict is told of addresses that it keeps', () => {
  const local = { connected: true, interfaceName: 'eth1', prefix: parsePrefix('10.2.5.0/24')! };
  const conflicts = [
    { prefix: parsePrefix('10.2.0.0/16')!, local, outcome: 'partly-local' as const },
  ];
  const routes = { conflicts, breakout: undefined };
  expect(farOf(map, address('10.2.5.9'), routes).local).toEqual({
    ...{ prefix: '10.2.5.0/24', device: 'eth1', connected: true },
  });
  expect(farOf(map, address('10.2.6.9'), routes).local).toBeNull();
});

test('the policy: as it is in force, or as the netmap has it where it is not', () => {
  const flow = {
    source: address('10.1.0.1'),
    destination: address('10.2.0.1'),
    protocol: 6,
    port: 1,
  };
  const rule = {
    action: 'deny',
    from: null,
    to: null,
    protocols: [6],
    ports: [],
    icmp: [],
  } as const;
  const policy = { version: 3, default: 'allow', tags: {}, rules: [rule] };
  const ruled = { ...map, policy } as unknown as Netmap;
  const never = (): never => {
    throw new Error('not to be asked');
  };
  const none = { state: undefined, fault: undefined, closed: false, explain: never };
  expect(policyOf(map, none, flow)).toMatchObject({ version: 0, verdict: 'allow', fault: null });
  expect(policyOf(ruled, none, flow)).toEqual({
    ...{ version: 3, verdict: 'deny', rule: 1, fault: null },
  });
  const state = { version: 3 } as MeshView['policy']['state'];
  const said = { verdict: 'deny', rule: 7, logged: [] } as unknown as Explanation;
  expect(policyOf(ruled, { ...none, state, explain: () => said }, flow).rule).toBe(7);
  // An earlier one is in force, or none: what the netmap has is told, and that it is not in force.
  const fault = 'nft is not here';
  const earlier = { version: 2 } as MeshView['policy']['state'];
  expect(policyOf(ruled, { ...none, fault, state: earlier }, flow)).toMatchObject({
    ...{ rule: 1, fault: 'earlier' },
  });
  expect(policyOf(ruled, { ...none, fault, closed: true }, flow).fault).toBe('closed');
});
