/**
 * Packet filters as the doctor reads them: dumps of the products (rulesets/), and rules that none of
 * them has. test/netns/host-firewalls.test.ts asks the kernel the same of the dumps.
 */
import { describe, expect, test } from 'vitest';
import type { FilterChain, ProbePacket } from '../../../../src/gateway/doctor/filter-model.ts';
import { FilterWalk } from '../../../../src/gateway/doctor/filter-verdict.ts';
import { forwardRemedy } from '../../../../src/gateway/doctor/firewall-remedy.ts';
import { parseIptablesSave } from '../../../../src/gateway/doctor/iptables-save.ts';
import { interfaceSets, parseNftRuleset } from '../../../../src/gateway/doctor/nft-ruleset.ts';
import { parseAddress } from '../../../../src/routing/address.ts';
import { readDump } from './dumps.ts';

const OUT: ProbePacket = {
  family: 4,
  in: 'lan0',
  out: 'causeway0',
  source: parseAddress('10.1.0.10')!.address,
  destination: parseAddress('10.2.0.10')!.address,
  protocol: 6,
  sourcePort: undefined,
  destinationPort: undefined,
  state: 'new',
};

function forwardChain(chains: readonly FilterChain[]): FilterChain {
  return chains.find(({ hook, type }) => hook === 'forward' && type === 'filter')!;
}

function iptables(...rules: string[]): FilterChain[] {
  const lines = ['*filter', ':FORWARD DROP [0:0]', ':MINE - [0:0]', ':LOOP - [0:0]', ...rules];
  return parseIptablesSave([...lines, 'COMMIT'].join('\n'), 4, 'iptables');
}

function passes(chains: readonly FilterChain[], packet: ProbePacket = OUT) {
  return new FilterWalk(chains).passage(forwardChain(chains), packet);
}

describe('rules of iptables', () => {
  test.each([
    ['no rule', [], 'dropped'],
    ['the interface, in', ['-A FORWARD -i lan0 -j ACCEPT'], 'passes'],
    ['a wildcard', ['-A FORWARD -o cause+ -j ACCEPT'], 'passes'],
    ['not the interface', ['-A FORWARD ! -o causeway0 -j ACCEPT'], 'dropped'],
    ['a mask of old', ['-A FORWARD -s 10.1.0.0/255.255.0.0 -j ACCEPT'], 'passes'],
    ['a port', ['-A FORWARD -p tcp -m tcp --dport 443 -j ACCEPT'], 'partly'],
    ['another protocol', ['-A FORWARD -p udp -j ACCEPT'], 'dropped'],
    ['answers alone', ['-A FORWARD -m state --state RELATED,ESTABLISHED -j ACCEPT'], 'dropped'],
    ['any state', ['-A FORWARD -m conntrack --ctstate NEW,ESTABLISHED -j ACCEPT'], 'passes'],
    ['a set', ['-A FORWARD -m set --match-set friends src -j ACCEPT'], 'partly'],
    ['a comment', ['-A FORWARD -m comment --comment "-j DROP it" -j ACCEPT'], 'passes'],
    [
      'no verdict before',
      ['-A FORWARD -j LOG --log-prefix "x "', '-A FORWARD -j ACCEPT'],
      'passes',
    ],
    ['a chain', ['-A FORWARD -j MINE', '-A MINE -i lan0 -j ACCEPT'], 'passes'],
    ['back from it', ['-A FORWARD -j MINE', '-A MINE -j RETURN', '-A FORWARD -j ACCEPT'], 'passes'],
    ['no way back', ['-A FORWARD -g MINE', '-A FORWARD -j ACCEPT'], 'dropped'],
    ['with counters', ['[12:3456] -A FORWARD -i lan0 -j ACCEPT'], 'passes'],
  ])('%s', (_, rules, expected) => {
    expect(passes(iptables(...rules))).toBe(expected);
  });

  test('a chain that jumps in circles ends', () => {
    const rules = ['-A FORWARD -j LOOP', '-A LOOP -j MINE', '-A MINE -j LOOP', '-A MINE -j LOOP'];
    expect(['dropped', 'partly']).toContain(passes(iptables(...rules)));
  });
});

describe('rules of nftables', () => {
  const chain = { family: 'inet', table: 't', name: 'f', type: 'filter', hook: 'forward', prio: 0 };
  const ruleset = (policy: string, ...rules: object[][]) =>
    parseNftRuleset({
      nftables: [
        { metainfo: {} },
        { chain: { ...chain, policy } },
        ...rules.map((expr) => ({ rule: { family: 'inet', table: 't', chain: 'f', expr } })),
      ],
    }).chains;
  const match = (left: object, right: unknown, op = '==') => ({ match: { op, left, right } });
  const accept = { accept: null };
  const meta = (key: string) => ({ meta: { key } });
  const port = { payload: { protocol: 'tcp', field: 'dport' } };

  test.each([
    ['no rule', [], 'dropped'],
    ['a set of interfaces', [match(meta('iifname'), { set: ['lan0', 'lan1'] }), accept], 'passes'],
    ['a wildcard', [match(meta('oifname'), 'cause*'), accept], 'passes'],
    ['any but it', [match(meta('oifname'), 'causeway0', '!='), accept], 'dropped'],
    ['a named set', [match(meta('iifname'), '@lans'), accept], 'partly'],
    ['a port', [match(port, { range: [1, 1_023] }), accept], 'partly'],
    ['the other family', [match(meta('nfproto'), 'ipv6'), accept], 'dropped'],
    ['something of the future', [{ quantum: {} }, accept], 'partly'],
    ['a counter before', [{ counter: null }, accept], 'passes'],
    [
      'a map of verdicts',
      [
        {
          vmap: {
            key: meta('iifname'),
            data: {
              set: [
                ['wan0', { drop: null }],
                ['lan0', accept],
              ],
            },
          },
        },
      ],
      'passes',
    ],
  ])('%s', (_, rule, expected) => {
    expect(passes(ruleset('drop', rule))).toBe(expected);
  });

  test('sets of interface names are asked for, and looked into', () => {
    const named = { family: 'inet', table: 't', name: 'lans', type: 'ifname' };
    const pairs = { ...named, name: 'pairs', type: ['ifname', 'ifname'] };
    const listed = { nftables: [{ set: named }, { set: pairs }, { set: { type: 'ipv4_addr' } }] };
    expect(interfaceSets(listed).map(({ name }) => name)).toEqual(['lans', 'pairs']);
    const verdict = (left: object, right: string, ...elem: unknown[]) => {
      const rule = { family: 'inet', table: 't', chain: 'f', expr: [match(left, right), accept] };
      const set = { ...(right === '@lans' ? named : pairs), elem };
      const objects = [{ chain: { ...chain, policy: 'drop' } }, { rule }, { set }];
      return passes(parseNftRuleset({ nftables: objects }).chains);
    };
    expect(verdict(meta('iifname'), '@lans', 'wan0', 'lan0')).toBe('passes');
    expect(verdict(meta('iifname'), '@lans', 'wan0')).toBe('dropped');
    const both = { concat: [meta('iifname'), meta('oifname')] };
    expect(verdict(both, '@pairs', { concat: ['lan0', 'causeway0'] })).toBe('passes');
    expect(verdict(both, '@pairs', { concat: ['lan0', 'wan0'] })).toBe('dropped');
  });

  test('a rule that drops a part does not make a chain one that drops', () => {
    expect(passes(ruleset('accept', [match(port, 25), { drop: null }]))).toBe('passes');
  });

  test.each([null, undefined, {}, { nftables: 7 }, { nftables: [{ rule: null }, { chain: [] }] }])(
    'what is no ruleset has no chains: %j',
    (value) => {
      expect(parseNftRuleset(value).chains).toEqual([]);
    },
  );
});

test.each([
  ['ufw.iptables-save', 'ufw', 'ufw route allow in on causeway0'],
  ['docker.iptables-save', 'Docker', 'iptables -I DOCKER-USER -i causeway0 -j ACCEPT'],
  [
    'firewalld.nft',
    'firewalld',
    'firewall-cmd --permanent --zone=trusted --add-interface=causeway0',
  ],
  ['legacy.iptables-save', 'iptables', 'iptables-legacy -I FORWARD -i causeway0 -j ACCEPT'],
  ['handwritten.nft', 'nftables', 'nft insert rule inet filter early iifname causeway0 accept'],
])('whose filter it is, and its own command: %s', (name, product, command) => {
  const chains = readDump(name);
  const remedy = forwardRemedy(forwardChain(chains), chains, 'causeway0');
  expect([remedy.product, remedy.commands[0]]).toEqual([product, command]);
  // Only a chain that its owner leaves to others is changed by a program.
  expect(remedy.fixes.length > 0).toBe(product === 'Docker');
});
