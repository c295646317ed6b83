/** The checks of the host, from facts that are made up: what each says, and what it would do. */
import { describe, expect, test } from 'vitest';
import { faultsOf } from '../../../../src/gateway/doctor/finding.ts';
import { checkFacts } from '../../../../src/gateway/doctor/host-checks.ts';
import {
  FORWARDING,
  type HostFacts,
  type HostLink,
  settingsOf,
} from '../../../../src/gateway/doctor/host-facts.ts';
import { parseIptablesSave } from '../../../../src/gateway/doctor/iptables-save.ts';
import { isOlder } from '../../../../src/gateway/doctor/programs-check.ts';
import type { GatewayScope } from '../../../../src/gateway/doctor/scope.ts';
import { settingName } from '../../../../src/gateway/doctor/setting-fix.ts';
import { parseInterfaceAddress, parsePrefix } from '../../../../src/routing/prefix.ts';
import { readDump } from './dumps.ts';

function link(name: string, addresses: string[], state: Partial<HostLink> = {}): HostLink {
  const parsed = addresses.map((text) => parseInterfaceAddress(text)!);
  return { name, up: true, carrier: true, mtu: 1_500, addresses: parsed, ...state };
}

function route(text: string, interfaceName: string, advertised = false) {
  return {
    prefix: parsePrefix(text)!,
    interfaceName,
    via: undefined,
    connected: false,
    advertised,
  };
}

const SCOPE: GatewayScope = {
  interfaceName: 'causeway0',
  running: true,
  served: ['10.1.0.0/24', 'fd01::/64'].map((text) => parsePrefix(text)!),
  remote: ['10.2.0.0/24', 'fd02::/64'].map((text) => parsePrefix(text)!),
  relays: [{ name: 'edge', endpoint: '192.0.2.1:51820' }],
  mtu: 1_280,
};

const SETTINGS: Readonly<Record<string, string>> = {
  [FORWARDING[4]]: '1',
  [FORWARDING[6]]: '1',
  [settingsOf('causeway0').reversePath]: '0',
  [settingsOf('all').reversePath]: '0',
};

interface Change {
  readonly links?: readonly HostLink[];
  readonly routes?: HostFacts['routes'];
  readonly settings?: Readonly<Record<string, string>>;
  readonly filters?: HostFacts['filters'];
  readonly connections?: HostFacts['connections'];
}

const LAN = link('lan0', ['10.1.0.1/24', 'fd01::1/64']);
const WAN = link('wan0', ['198.51.100.2/24']);
const ROUTES = [
  route('10.1.0.0/24', 'lan0'),
  route('fd01::/64', 'lan0'),
  route('0.0.0.0/0', 'wan0'),
];

/** What is wrong, on a host where nothing but the change is. */
function faults(change: Change = {}, scope: GatewayScope = SCOPE) {
  const settings: Readonly<Record<string, string>> = { ...SETTINGS, ...change.settings };
  const facts: HostFacts = {
    links: change.links ?? [LAN, WAN],
    routes: change.routes ?? ROUTES,
    settings: (path) => settings[path],
    filters: change.filters ?? { chains: [], unread: undefined },
    connections: change.connections,
  };
  return faultsOf(checkFacts(scope, facts)).map(({ check, status, says, remedy, fixes }) => {
    return { check, status, says, remedy, fixable: fixes.length > 0 };
  });
}

test('a host where nothing is wrong', () => {
  expect(faults()).toEqual([]);
});

describe('kernel settings', () => {
  test('forwarding off, each family by itself', () => {
    expect(faults({ settings: { [FORWARDING[6]]: '0' } })).toEqual([
      {
        check: 'forwarding',
        status: 'problem',
        says: expect.stringContaining('net.ipv6.conf.all.forwarding is 0'),
        remedy: ['sysctl -w net.ipv6.conf.all.forwarding=1'],
        fixable: true,
      },
    ]);
    // Nobody's packets are forwarded where nothing is served.
    const nothing = { ...SCOPE, served: [] };
    expect(faults({ settings: { [FORWARDING[4]]: '0' } }, nothing)).toEqual([]);
  });

  test.each([
    ['0', '1', true],
    ['1', '0', true],
    ['2', '1', false],
    ['1', '2', false],
  ])('rp_filter %s there and %s of all', (own, all, wrong) => {
    const settings = {
      [settingsOf('causeway0').reversePath]: own,
      [settingsOf('all').reversePath]: all,
    };
    expect(faults({ settings }).some(({ check }) => check === 'reverse-path')).toBe(wrong);
  });

  test('a default route from advertisements is lost by forwarding, unless accept_ra is 2 or 0', () => {
    const routes = [...ROUTES, route('::/0', 'wan0', true)];
    const said = (value: string) =>
      faults({ routes, settings: { [settingsOf('wan0').acceptAdvertisements]: value } });
    expect(said('1')).toMatchObject([
      { check: 'accept-ra', remedy: ['sysctl -w net.ipv6.conf.wan0.accept_ra=2'] },
    ]);
    expect([said('0'), said('2')]).toEqual([[], []]);
  });

  test('redirects where one interface leads to site and Internet; either setting sends them', () => {
    const routes = [ROUTES[0]!, ROUTES[1]!, route('0.0.0.0/0', 'lan0')];
    const on = { [settingsOf('all').sendRedirects]: '1', [settingsOf('lan0').sendRedirects]: '1' };
    expect(faults({ routes, settings: on })[0]).toMatchObject({
      check: 'redirects',
      remedy: [
        'sysctl -w net.ipv4.conf.all.send_redirects=0',
        'sysctl -w net.ipv4.conf.lan0.send_redirects=0',
      ],
    });
    expect(faults({ settings: on })).toEqual([]);
  });

  test('names of interfaces with dots are as sysctl(8) takes them', () => {
    expect(settingName('net/ipv4/conf/eth0.100/rp_filter')).toBe(
      'net.ipv4.conf.eth0/100.rp_filter',
    );
  });
});

describe('the site', () => {
  test('an interface that is down, or has no carrier', () => {
    const routes = [route('fd01::/64', 'lan0'), route('0.0.0.0/0', 'wan0')];
    const down = { ...LAN, up: false };
    expect(faults({ links: [down, WAN], routes })[0]).toMatchObject({
      check: 'lan',
      status: 'problem',
      says: expect.stringContaining('lan0 is down'),
      remedy: ['ip link set dev lan0 up'],
    });
    const dead = { ...LAN, carrier: false };
    expect(faults({ links: [dead, WAN] })[0]?.says).toContain('has no carrier');
  });

  test('an interface that never comes: nothing leads there but the default route, or nothing', () => {
    const routes = [route('fd01::/64', 'lan0'), route('0.0.0.0/0', 'wan0')];
    const links = [link('lan0', ['fd01::1/64']), WAN];
    expect(faults({ links, routes })).toMatchObject([
      { check: 'lan', status: 'warning', says: expect.stringContaining('10.1.0.0/24') },
    ]);
    expect(faults({ links, routes: [route('fd01::/64', 'lan0')] })).toMatchObject([
      { check: 'lan', status: 'problem', says: expect.stringContaining('No route') },
    ]);
  });

  test('a further subnet behind the default router of the site is in order', () => {
    const served = [...SCOPE.served, parsePrefix('10.99.0.0/24')!];
    const routes = [ROUTES[0]!, ROUTES[1]!, route('0.0.0.0/0', 'lan0')];
    expect(faults({ routes }, { ...SCOPE, served })).toEqual([]);
  });
});

describe('packet filters', () => {
  test('Docker: both directions, and a remedy that a program may apply', () => {
    const filters = { chains: readDump('docker.iptables-save'), unread: undefined };
    expect(faults({ filters })).toMatchObject([
      {
        check: 'firewall',
        status: 'problem',
        says: expect.stringMatching(
          /FORWARD of iptables .* from lan0 \(10\.1\.0\.1\) to causeway0 .* from causeway0 /,
        ),
        fixable: true,
      },
    ]);
  });

  test('a chain that lets TCP alone pass lets some pass; before the routing only the way in is known', () => {
    const text = ['*raw', ':PREROUTING DROP [0:0]', '-A PREROUTING -p tcp -j ACCEPT', 'COMMIT'];
    const chains = parseIptablesSave(text.join('\n'), 6, 'iptables');
    expect(faults({ filters: { chains, unread: undefined } })).toMatchObject([
      {
        check: 'firewall',
        status: 'warning',
        says: expect.stringContaining('lets only some of the packets pass'),
        remedy: [
          'ip6tables -t raw -I PREROUTING -i lan0 -j ACCEPT',
          'ip6tables -t raw -I PREROUTING -i causeway0 -j ACCEPT',
        ],
      },
    ]);
  });

  test('what could not be read is said, and is no fault', () => {
    const filters = { chains: [], unread: '`nft -j -t list ruleset`: it is not installed' };
    expect(faults({ filters })).toEqual([]);
  });

  test("the tunnel's own datagrams, out and their answers", () => {
    const chain = (hook: string) => ({
      ...{ tool: 'nft' as const, family: 'inet', table: 'host', name: hook, hook },
      ...{ type: 'filter', policy: 'drop' as const, rules: [] },
    });
    const filters = { chains: [chain('output'), chain('input')], unread: undefined };
    expect(faults({ filters }).map(({ check, remedy }) => [check, remedy[0]])).toEqual([
      [
        'firewall-own',
        'nft insert rule inet host output ip daddr 192.0.2.1 udp dport 51820 accept',
      ],
      ['firewall-own', 'nft insert rule inet host input ct state established,related accept'],
    ]);
  });
});

test('a subnet here that another site has, before the gateway runs', () => {
  const routes = [...ROUTES, { ...route('10.2.0.0/25', 'wan0'), connected: true }];
  expect(faults({ routes }, { ...SCOPE, running: false })).toMatchObject([
    {
      check: 'conflicts',
      status: 'warning',
      says: 'Of 10.2.0.0/24 the part 10.2.0.0/25 (connected to wan0) stays local.',
    },
  ]);
  expect(faults({ routes })).toEqual([]);
});

test("a route of the host inside another site's prefix takes part of it away", () => {
  const detour = { ...route('10.2.0.0/25', 'wan0'), via: '198.51.100.1' };
  const own = { ...route('10.1.0.128/25', 'lan0'), via: '10.1.0.2' };
  expect(faults({ routes: [...ROUTES, detour, own] })).toEqual([
    {
      check: 'conflicts',
      status: 'warning',
      says: 'Of 10.2.0.0/24 the part 10.2.0.0/25 does not go into the mesh: a route of this host sends it to wan0 by 198.51.100.1, and the longer prefix wins. If nobody means that:',
      remedy: ['ip route del 10.2.0.0/25 via 198.51.100.1 dev wan0'],
      fixable: false,
    },
  ]);
});

test('the table of connections, nearly full and full', () => {
  const at = (count: number) => faults({ connections: { count, most: 1_000 } });
  expect(at(899)).toEqual([]);
  expect(at(950)).toMatchObject([{ check: 'conntrack', status: 'warning' }]);
  expect(at(1_000)).toMatchObject([
    { status: 'problem', remedy: ['sysctl -w net.netfilter.nf_conntrack_max=2000'] },
  ]);
});

test('an MTU that does not fit into the way out', () => {
  const links = [LAN, { ...WAN, mtu: 1_300 }];
  expect(faults({ links })).toMatchObject([
    { check: 'mtu', status: 'warning', says: expect.stringContaining('takes at most 1220') },
  ]);
});

test('versions', () => {
  expect(isOlder([0, 9, 8], [1, 0])).toBe(true);
  expect([isOlder([1, 0], [1, 0]), isOlder([1, 0, 6], [1, 0]), isOlder([2], [1, 0])]).toEqual([
    false,
    false,
    false,
  ]);
});
