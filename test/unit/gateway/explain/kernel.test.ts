/** What `ip` prints, as facts; and what the host's chains do with a flow and with its answers. */
import { expect, test } from 'vitest';
import { numericAddress } from '../../../../src/control/policy/address-set.ts';
import { parseIptablesSave } from '../../../../src/gateway/doctor/iptables-save.ts';
import { parseNftRuleset } from '../../../../src/gateway/doctor/nft-ruleset.ts';
import { findFilters } from '../../../../src/gateway/explain/flow-filters.ts';
import { findRewrites } from '../../../../src/gateway/explain/flow-rewrites.ts';
import { readLookup, refusalOf } from '../../../../src/gateway/explain/kernel-lookup.ts';
import { readLink, stateOf } from '../../../../src/gateway/explain/neighbour.ts';

test('what ip route get says', () => {
  const route =
    '[{"dst":"10.1.0.10","from":"10.2.0.10","gateway":"192.168.2.1","dev":"wan0","flags":[],"cache":[],"iif":"lan0"}]';
  expect(readLookup(route, '[{"dst":"10.1.0.0/25","gateway":"192.168.2.1","dev":"wan0"}]')).toEqual(
    { result: 'sent', device: 'wan0', gateway: '192.168.2.1', prefix: '10.1.0.0/25' },
  );
  expect(readLookup(route, '[{"dst":"default","dev":"wan0"}]').prefix).toBe('0.0.0.0/0');
  // iproute2 writes the prefix of a host without its length.
  expect(readLookup(route, '[{"dst":"10.1.0.10","dev":"wan0"}]').prefix).toBe('10.1.0.10/32');
  const six = '[{"dst":"fd01::10","from":"fd02::10","dev":"causeway0","table":"52000"}]';
  expect(readLookup(six, '[{"dst":"default"}]')).toMatchObject({ prefix: '::/0', gateway: null });
  const via =
    '[{"dst":"10.1.0.10","via":{"family":"inet6","host":"fe80::1"},"dev":"wan0","flags":[]}]';
  expect(readLookup(via, '[]')).toMatchObject({ gateway: 'fe80::1', prefix: null });
  const local = '[{"type":"local","dst":"10.2.0.1","dev":"lo","table":"local","cache":["local"]}]';
  expect(readLookup(local, '[]').result).toBe('local');
  for (const text of ['', '[]', '{', '[null]'])
    expect(readLookup(text, text).result).toBe('failed');
});

test.each([
  ['RTNETLINK answers: Network is unreachable', 'no-route'],
  ['RTNETLINK answers: No route to host', 'unreachable'],
  ['RTNETLINK answers: Permission denied', 'prohibited'],
  ['RTNETLINK answers: Invalid cross-device link', 'rejected'],
  ['RTNETLINK answers: Invalid argument', 'rejected'],
  ['Cannot find device "lan7"', 'failed'],
])('%s', (stderr, result) => expect(refusalOf(stderr)).toBe(result));

test('links and neighbours', () => {
  const link = (flags: string[]) =>
    readLink({ ifname: 'lan0', flags, addr_info: [{ local: '10.2.0.1', prefixlen: 24 }] });
  expect(link(['BROADCAST', 'UP', 'LOWER_UP'])).toEqual({
    ...{ device: 'lan0', state: 'up', addresses: ['10.2.0.1/24'], asks: true },
  });
  expect(link(['BROADCAST', 'NO-CARRIER', 'UP']).state).toBe('no-carrier');
  expect(link(['BROADCAST']).state).toBe('down');
  expect(link(['POINTOPOINT', 'UP', 'LOWER_UP']).asks).toBe(false);
  const state = (name: string) => stateOf([{ dst: '10.2.0.10', dev: 'lan0', state: [name] }]);
  expect(state('REACHABLE')).toBe('answers');
  expect(state('FAILED')).toBe('silent');
  expect(state('STALE')).toBe('stale');
  expect(state('INCOMPLETE')).toBe('asked');
  expect(stateOf([])).toBe('none');
});

const FLOW = {
  source: numericAddress('10.1.0.10')!,
  destination: numericAddress('10.2.0.10')!,
  ...{ protocol: 6, port: 22 },
};

/** A chain of `nft -j list ruleset`, with rules of expressions. */
function chains(hook: string, policy: string, ...rules: object[][]) {
  const where = { family: 'inet', table: 'filter' };
  const base = { ...where, name: hook, type: 'filter', hook, prio: 0, policy };
  return parseNftRuleset({
    nftables: [
      { table: { family: 'inet', name: 'filter' } },
      { chain: base },
      ...rules.map((expr) => ({ rule: { ...where, chain: hook, expr } })),
    ],
  }).chains;
}
const matching = (left: object, right: unknown) => ({ match: { op: '==', left, right } });
const port = (n: number) => matching({ payload: { protocol: 'tcp', field: 'dport' } }, n);
const established = matching({ ct: { key: 'state' } }, 'established');

test('chains that stop the flow, or only its answers', () => {
  const at = { flow: FLOW, mesh: 'causeway0', lan: 'lan0', departs: false };
  const drops = { product: 'nftables', hook: 'forward', chain: 'forward', passage: 'dropped' };
  expect(findFilters(chains('forward', 'drop'), at)).toMatchObject([{ ...drops, way: 'flow' }]);
  expect(findFilters(chains('forward', 'accept'), at)).toEqual([]);
  // The port is allowed, and what belongs to it.
  const both = [
    [port(22), { accept: null }],
    [established, { accept: null }],
  ];
  expect(findFilters(chains('forward', 'drop', ...both), at)).toEqual([]);
  expect(findFilters(chains('forward', 'drop', both[0]!), at)).toMatchObject([
    { ...drops, way: 'answer' },
  ]);
  expect(findFilters(chains('forward', 'drop', both[1]!), at)).toMatchObject([
    { ...drops, way: 'flow' },
  ]);
  // Only what comes in by the mesh is allowed: where the flow departs, that is its answers.
  const isMesh = matching({ meta: { key: 'iifname' } }, 'causeway0');
  const mesh = chains('forward', 'drop', [isMesh, { accept: null }]);
  expect(findFilters(mesh, at)).toMatchObject([{ way: 'answer' }]);
  expect(findFilters(mesh, { ...at, departs: true })).toMatchObject([{ way: 'flow' }]);
});

test("for an address of the gateway's own, other chains are asked", () => {
  const at = { flow: FLOW, mesh: 'causeway0', lan: undefined, departs: false };
  expect(findFilters(chains('forward', 'drop'), at)).toEqual([]);
  expect(findFilters(chains('input', 'drop'), at)).toMatchObject([{ hook: 'input', way: 'flow' }]);
  expect(findFilters(chains('output', 'drop'), at)).toMatchObject([
    { hook: 'output', way: 'answer' },
  ]);
});

test('rules that rewrite the addresses of the flow', () => {
  const iptables = (rule: string) =>
    parseIptablesSave(
      `*nat\n:POSTROUTING ACCEPT [0:0]\n-A POSTROUTING ${rule}\nCOMMIT`,
      4,
      'iptables',
    );
  const at = { flow: FLOW, mesh: 'causeway0', lan: 'lan0', departs: true };
  expect(findRewrites(iptables('! -o docker0 -j MASQUERADE'), at)).toMatchObject([
    { chain: 'POSTROUTING', hook: 'postrouting', product: 'iptables', way: 'into' },
  ]);
  expect(findRewrites(iptables('-o lan0 -j MASQUERADE'), at)).toEqual([]);
  expect(findRewrites(iptables('-o lan0 -j MASQUERADE'), { ...at, departs: false })).toMatchObject([
    { way: 'out' },
  ]);
});
