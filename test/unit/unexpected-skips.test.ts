/** What `npm test` makes of suites that were skipped in CI. */
import { expect, test } from 'vitest';
import { unexpectedSkips } from '../../scripts/unexpected-skips.ts';

const one = (file: string, status: string, suite: string, title = 'a test') => {
  return {
    name: `/checkout/${file}`,
    assertionResults: [{ status, ancestorTitles: [suite], title }],
  };
};
const skipsOf = (...testResults: ReturnType<typeof one>[]): string[] =>
  unexpectedSkips({ testResults }, '/checkout');

test('a suite that lacks a program is told once, with the reason', () => {
  const suite = 'relay (skipped: needs nft, tcpdump)';
  const file = 'test/netns/relay.test.ts';
  expect(
    skipsOf(
      one(file, 'skipped', suite),
      one(file, 'pending', suite, 'another'),
      one('test/interop/nat.test.ts', 'skipped', 'NAT (skipped: needs a current wireguard-go)'),
    ),
  ).toEqual([
    'test/netns/relay.test.ts: relay (skipped: needs nft, tcpdump)',
    'test/interop/nat.test.ts: NAT (skipped: needs a current wireguard-go)',
  ]);
});

test('a test that says nothing of why it was skipped is told too', () => {
  expect(skipsOf(one('test/netns/life.test.ts', 'skipped', 'life', 'is long'))).toEqual([
    'test/netns/life.test.ts: life > is long: skipped without a reason',
  ]);
});

test('what ran, what is slow or does not apply, and other projects are not', () => {
  expect(
    skipsOf(
      one('test/netns/life.test.ts', 'passed', 'life'),
      one('test/netns/life.test.ts', 'failed', 'life'),
      one(
        'test/interop/rekey.test.ts',
        'skipped',
        'rekey (skipped: takes minutes, set CAUSEWAY_SLOW_TESTS=1)',
      ),
      one(
        'test/netns/wg-quick.test.ts',
        'skipped',
        'wg-quick (skipped: the kernel has WireGuard itself)',
      ),
      one('test/unit/packaging.test.ts', 'skipped', 'units'),
    ),
  ).toEqual([]);
});
