/** What is said of Internet traffic that does not leave as the operator wants. */
import { expect, test } from 'vitest';
import { diagnoseBreakout } from '../../../../src/gateway/mesh/breakout-diagnosis.ts';
import { netmap, type PeerPlan } from './netmaps.ts';

const through = { way: 'through', connector: 'site-2' } as const;
const refused = { way: 'refused', connector: null } as const;
const own = { way: 'own', connector: null } as const;
type Way = typeof through | typeof refused | typeof own;

function said(connectors: string[], ipv4: Way, ipv6: Way, ...peers: PeerPlan[]): string[] {
  const found = diagnoseBreakout({ breakout: { connectors, ipv4, ipv6 } }, netmap({ peers }));
  return found.map(({ status, says }) => `${status}: ${says}`);
}

test('nothing where nobody asked', () => {
  expect(diagnoseBreakout({ breakout: null }, netmap({}))).toEqual([]);
});

test('by whom each family leaves', () => {
  expect(said(['site-2'], through, own, { n: 2 })).toEqual([
    'ok: Internet traffic: IPv4 by site-2, IPv6 its own way.',
  ]);
});

test('refused: what is the consent, for the first that is there', () => {
  const [first, second] = said(['site-9', 'site-2'], through, refused, { n: 2 });
  expect(first).toMatch(/^problem: .* refused \(::\/0\)/);
  expect(first).toContain('`connector routes add ::/0 --connector site-2 --allow-default`');
  expect(second).toMatch(/^warning: .*by site-9, and no host/);
});

test('refused although it is offered: then it is not heard from, and consent is no remedy', () => {
  const offer: PeerPlan = { n: 2, prefixes: [['0.0.0.0/0']] };
  const [first] = said(['site-2'], refused, own, offer);
  expect(first).toContain('or is heard from');
  expect(first).not.toContain('connector routes add');
});
