/** Chains for addresses: which rules rewrite what goes between site and mesh, and what spares it. */
import { describe, expect, test } from 'vitest';
import type { FilterChain } from '../../../../src/gateway/doctor/filter-model.ts';
import type { HostFacts } from '../../../../src/gateway/doctor/host-facts.ts';
import { parseIptablesSave } from '../../../../src/gateway/doctor/iptables-save.ts';
import { checkAddresses } from '../../../../src/gateway/doctor/nat-check.ts';
import { parseNftRuleset } from '../../../../src/gateway/doctor/nft-ruleset.ts';
import type { GatewayScope } from '../../../../src/gateway/doctor/scope.ts';
import { parsePrefix } from '../../../../src/routing/prefix.ts';
import { readDump } from './dumps.ts';

const SCOPE: GatewayScope = {
  interfaceName: 'causeway0',
  running: true,
  served: ['10.1.0.0/24', 'fd01::/64'].map((text) => parsePrefix(text)!),
  remote: ['100.96.0.0/12', '10.2.0.0/16', '10.2.1.0/24'].map((text) => parsePrefix(text)!),
  relays: [],
  apis: [],
  mesh: [],
  answers: false,
  mtu: 1_280,
};

const NETWORKS = [
  ['10.1.0.0/24', 'lan0'],
  ['172.17.0.0/16', 'docker0'],
  ['0.0.0.0/0', 'wan0'],
] as const;

function check(chains: readonly FilterChain[], change: Partial<GatewayScope> = {}) {
  const facts: HostFacts = {
    links: [],
    routes: NETWORKS.map(([text, interfaceName]) => {
      const prefix = parsePrefix(text)!;
      const connected = prefix.length > 0;
      return { prefix, interfaceName, via: undefined, connected, advertised: false };
    }),
    settings: () => undefined,
    filters: { chains, unread: undefined },
    connections: undefined,
  };
  return checkAddresses({ ...SCOPE, ...change }, facts);
}

/** Rules of iptables' table `nat`. */
function iptables(...rules: string[]): FilterChain[] {
  const own = new Set(rules.map((rule) => rule.split(' ')[1]!));
  const chains = ['PREROUTING', 'POSTROUTING'].map((name) => `:${name} ACCEPT [0:0]`);
  for (const name of own) if (!/^P.*ROUTING$/.test(name)) chains.push(`:${name} - [0:0]`);
  return parseIptablesSave(['*nat', ...chains, ...rules, 'COMMIT'].join('\n'), 4, 'iptables');
}

function statuses(...rules: string[]): string[] {
  return check(iptables(...rules)).map(({ status }) => status);
}

describe('iptables', () => {
  test.each([
    [['-A POSTROUTING -j MASQUERADE'], 2],
    [['-A POSTROUTING -s 10.1.0.0/24 ! -o docker0 -j MASQUERADE'], 1],
    [['-A POSTROUTING -s 10.0.0.0/8 -p udp -j SNAT --to-source 192.0.2.1'], 2],
    [['-A POSTROUTING -s 10.1.0.0/24 ! -d 10.0.0.0/8 -j MASQUERADE'], 1],
    [['-A POSTROUTING -j OURS', '-A OURS -o causeway0 -j MASQUERADE'], 1],
    [['-A PREROUTING -i causeway0 -j DNAT --to-destination 10.1.0.5'], 1],
    [['-A PREROUTING -i lan0 -j NETMAP --to 10.7.0.0/24'], 1],
    [['-A POSTROUTING -m policy --dir out --pol ipsec -j ACCEPT', '-A POSTROUTING -j SNAT'], 2],
  ])('%j', (rules, count) => {
    expect(statuses(...rules)).toEqual(Array.from({ length: count }, () => 'warning'));
  });

  test.each([
    [['-A POSTROUTING -o wan0 -j MASQUERADE']],
    [['-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE']],
    [['-A POSTROUTING -o causeway0 -j ACCEPT', '-A POSTROUTING -s 10.1.0.0/24 -j MASQUERADE']],
    // What a probe cannot tell is not said.
    [['-A POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN', '-A POSTROUTING -j MASQUERADE']],
    [['-A POSTROUTING -m mark --mark 0x1 -j MASQUERADE']],
    [['-A POSTROUTING -j OURS', '-A OURS -m set -j RETURN', '-A OURS -j MASQUERADE']],
    [['-A PREROUTING -m addrtype --dst-type LOCAL -j OURS', '-A OURS -j DNAT']],
    [['-A PREROUTING -p tcp -m tcp --dport 80 -j REDIRECT --to-ports 3128']],
  ])('%j is in order', (rules) => {
    expect(statuses(...rules)).toEqual(['ok']);
  });

  test('who loses what, by which rule, and what spares it', () => {
    const [into, out] = check(iptables('-A POSTROUTING ! -o docker0 -j MASQUERADE'));
    expect(into).toMatchObject({
      check: 'nat',
      says: 'Hosts of 10.1.0.0/24 lose their addresses on the way into the mesh: other sites see the gateway instead, and policies take them for it (rule `-A POSTROUTING ! -o docker0 -j MASQUERADE` in POSTROUTING of iptables (table nat)).',
      remedy: ['iptables -t nat -I POSTROUTING -o causeway0 -j ACCEPT'],
      fixes: [],
    });
    // By its rules nobody can tell that a packet came in from the mesh, but for the sources.
    expect(out?.remedy).toEqual([
      'iptables -t nat -I POSTROUTING -s 100.96.0.0/12 -j ACCEPT',
      'iptables -t nat -I POSTROUTING -s 10.2.0.0/16 -j ACCEPT',
    ]);
  });

  test("Docker's network, told of until it is advertised; then --fix spares it", () => {
    const chains = readDump('docker.iptables-save');
    expect(check(chains)).toMatchObject([
      { status: 'ok', says: expect.stringContaining('172.17.0.0/16 (docker0)') },
    ]);
    const served = [...SCOPE.served, parsePrefix('172.17.0.0/16')!];
    expect(check(chains, { served })).toMatchObject([
      {
        status: 'warning',
        says: expect.stringMatching(/^Hosts of 172\.17\.0\.0\/16 lose .* Docker\)\.$/),
        fixes: [
          {
            command: 'iptables -t nat -I POSTROUTING -o causeway0 -j ACCEPT'.split(' '),
            undo: 'iptables -t nat -D POSTROUTING -o causeway0 -j ACCEPT'.split(' '),
          },
        ],
      },
    ]);
  });
});

describe('nftables', () => {
  const ruleset = (...expressions: object[]): FilterChain[] => {
    const where = { family: 'ip', table: 'router' };
    const chain = { ...where, name: 'post', type: 'nat', hook: 'postrouting', policy: 'accept' };
    const rules = expressions.map((expr, i) => ({
      rule: { ...where, chain: 'post', handle: i + 4, expr },
    }));
    return [...parseNftRuleset({ nftables: [{ chain }, ...rules] }).chains];
  };
  const leaves = (op: string, right: string) => ({
    match: { op, left: { meta: { key: 'oifname' } }, right },
  });

  test('the rule is known by its handle', () => {
    expect(check(ruleset([leaves('!=', 'lan0'), { masquerade: null }]))).toMatchObject([
      {
        status: 'warning',
        says: expect.stringContaining('rule `masquerade, handle 4` in ip router post)'),
        remedy: ['nft insert rule ip router post oifname causeway0 accept'],
      },
    ]);
    expect(check(ruleset([leaves('==', 'lan0'), { snat: { addr: '10.1.0.1' } }]))).toMatchObject([
      { remedy: ['nft insert rule ip router post iifname causeway0 accept'] },
    ]);
  });

  test('a rule before it that spares the mesh', () => {
    const sparing = [leaves('==', 'causeway0'), { accept: null }];
    const chains = ruleset(sparing, [leaves('!=', 'lan0'), { masquerade: null }]);
    expect(check(chains)).toMatchObject([{ status: 'ok' }]);
  });
});
