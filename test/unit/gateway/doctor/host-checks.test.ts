/** The checks of the host, from facts that are made up: what each says, and what it would do. */
import { describe, expect, test } from 'vitest';
import { faultsOf } from '../../../../src/gateway/doctor/finding.ts';
import { checkFacts } from '../../../../src/gateway/doctor/host-checks.ts';
import {
  type HostFacts,
  type HostLink,
  settingsOf,
} from '../../../../src/gateway/doctor/host-facts.ts';
import { parseIptablesSave } from '../../../../src/gateway/doctor/iptables-save.ts';
import { isOlder } from '../../../../src/gateway/doctor/programs-check.ts';
import type { GatewayScope } from '../../../../src/gateway/doctor/scope.ts';
import { settingName } from '../../../../src/gateway/doctor/setting-fix.ts';
import { parseAddress } from '../../../../src/routing/address.ts';
import { parseInterfaceAddress, parsePrefix } from '../../../../src/routing/prefix.ts';
import { FORWARDING } from '../../../../src/tun/sysctl.ts';
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
  apis: [{ name: 'edge', endpoint: '192.0.2.1:8443' }],
  mesh: ['100.96.0.1', 'fd00::1'].map((text) => parseAddress(text)!),
  answers: true,
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

  describe('what the gateway itself sends and is sent', () => {
    const DEFAULTS = { tool: 'nft' as const, family: 'inet', table: 'host', type: 'filter' };
    const chain = (hook: string) => ({
      ...{ ...DEFAULTS, name: hook, hook, policy: 'drop' as const, rules: [] },
    });
    const own = (chains: HostFacts['filters']['chains'], scope = SCOPE) =>
      faults({ filters: { chains, unread: undefined } }, scope);
    const iptables = (...lines: string[]) =>
      parseIptablesSave(['*filter', ...lines, 'COMMIT'].join('\n'), 4, 'iptables');
    const ANSWERS = 'ct state established,related accept';

    test('chains that drop everything: relay, API, questions, and their answers', () => {
      const [out, into, ...more] = own([chain('output'), chain('input')]);
      expect(more).toEqual([]);
      expect(out).toMatchObject({ check: 'firewall-own', status: 'problem' });
      expect(out!.says).toMatch(
        /UDP to 192\.0\.2\.1:51820.*TCP to 192\.0\.2\.1:8443.*TCP port 10096 of this host.*TCP port 10096 into causeway0/,
      );
      const output = 'nft insert rule inet host output';
      expect(out!.remedy).toEqual([
        `${output} ip daddr 192.0.2.1 udp dport 51820 accept`,
        `${output} ip daddr 192.0.2.1 tcp dport 8443 accept`,
        `${output} ${ANSWERS}`,
        `${output} oifname causeway0 tcp dport 10096 accept`,
      ]);
      expect(into!.says).toMatch(
        /relay.* API.*TCP port 10096 by causeway0.*TCP port 10096 of theirs/,
      );
      const input = 'nft insert rule inet host input';
      expect(into!.remedy).toEqual([
        `${input} ${ANSWERS}`,
        `${input} iifname causeway0 tcp dport 10096 accept`,
      ]);
    });

    test('an OUTPUT chain that lets UDP and what is open pass, and no other TCP', () => {
      const said = own(
        iptables(
          ':OUTPUT DROP [0:0]',
          '-A OUTPUT -p udp -j ACCEPT',
          '-A OUTPUT -o causeway0 -j ACCEPT',
          '-A OUTPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
        ),
      );
      expect(said).toEqual([
        {
          ...{ check: 'firewall-own', status: 'problem', fixable: false },
          says: 'The chain OUTPUT of iptables (table filter) drops requests to the API of edge edge (TCP to 192.0.2.1:8443).',
          remedy: ['iptables -I OUTPUT -p tcp -d 192.0.2.1 --dport 8443 -j ACCEPT'],
        },
      ]);
    });

    test('an edge on the same host is reached by no interface but lo', () => {
      const chains = iptables(
        ':INPUT DROP [0:0]',
        ':OUTPUT DROP [0:0]',
        ...['-A INPUT -i lo -j ACCEPT', '-A OUTPUT -o lo -j ACCEPT'],
        ...['-A INPUT -i causeway0 -j ACCEPT', '-A OUTPUT -o causeway0 -j ACCEPT'],
      );
      expect(own(chains)).toHaveLength(2);
      const at = (port: number) => [{ name: 'edge', endpoint: `198.51.100.2:${port}` }];
      expect(own(chains, { ...SCOPE, relays: at(51_820), apis: at(8_443) })).toEqual([]);
    });

    test("the usual INPUT chain of a host: other gateways' questions, if they are answered", () => {
      const lines = [
        ':INPUT DROP [0:0]',
        '-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
        '-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT',
      ];
      const command = 'iptables -I INPUT -i causeway0 -p tcp --dport 10096 -j ACCEPT';
      expect(own(iptables(...lines))).toMatchObject([
        { check: 'firewall-own', status: 'warning', remedy: [command] },
      ]);
      expect(own(iptables(...lines), { ...SCOPE, answers: false })).toEqual([]);
      const rule = '-A INPUT -i causeway0 -p tcp -m tcp --dport 10096 -j ACCEPT';
      expect(own(iptables(...lines, rule))).toEqual([]);
      const ufw = iptables(...lines, ':ufw-user-input - [0:0]', '-A INPUT -j ufw-user-input');
      expect(own(ufw)[0]?.remedy).toEqual([
        'ufw allow in on causeway0 to any port 10096 proto tcp',
      ]);
    });

    test('a host without IPv6 hears nothing of chains for it', () => {
      const chains = [{ ...chain('input'), family: 'ip6' }];
      const said = (disabled6: string) =>
        faults({
          filters: { chains, unread: undefined },
          settings: { [settingsOf('causeway0').disabled6]: disabled6 },
        });
      expect(said('0')).toMatchObject([{ check: 'firewall-own', status: 'warning' }]);
      expect(said('1')).toEqual([]);
    });
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
