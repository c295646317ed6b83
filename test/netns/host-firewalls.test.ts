/**
 * What the doctor says of packet filters and of rules for addresses, against what the kernel does. Each dump
 * (test/unit/gateway/doctor/rulesets) is loaded into a router by its own tool:
 *
 *     site           router            far
 *   10.1.0.10 ── lan0   causeway0 ── 10.2.0.10
 *   fd01::10     10.1.0.1   10.2.0.1   fd02::10
 */
import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { Lab } from '../../lab/lab.ts';
import { connect, type Namespace } from '../../lab/namespace.ts';
import { ServiceClient, startService } from '../../lab/service.ts';
import type { FilterChain, ProbePacket } from '../../src/gateway/doctor/filter-model.ts';
import { FilterWalk, type Passage } from '../../src/gateway/doctor/filter-verdict.ts';
import { checkForwardFilters } from '../../src/gateway/doctor/firewall-check.ts';
import type { HostFacts } from '../../src/gateway/doctor/host-facts.ts';
import { parseIptablesSave } from '../../src/gateway/doctor/iptables-save.ts';
import { checkAddresses } from '../../src/gateway/doctor/nat-check.ts';
import { parseNftRuleset } from '../../src/gateway/doctor/nft-ruleset.ts';
import type { GatewayScope } from '../../src/gateway/doctor/scope.ts';
import { parseAddress } from '../../src/routing/address.ts';
import { parseInterfaceAddress, parsePrefix } from '../../src/routing/prefix.ts';
import { dumpPath, readDump } from '../unit/gateway/doctor/dumps.ts';
import { netnsSuite } from './suite.ts';

/** One that no rule of the dumps names, and one that some do. */
const PORTS = [7, 443] as const;
const SITE = { link: 'lan0', 4: '10.1.0.10', 6: 'fd01::10' } as const;
const FAR = { link: 'causeway0', 4: '10.2.0.10', 6: 'fd02::10' } as const;

/** What each is known to do: from the site, and from afar. */
const DUMPS: readonly [name: string, family: 4 | 6, out: Passage, back: Passage][] = [
  ['ufw.iptables-save', 4, 'dropped', 'dropped'],
  ['ufw.ip6tables-save', 6, 'dropped', 'dropped'],
  ['ufw-allowed.iptables-save', 4, 'passes', 'passes'],
  ['docker.iptables-save', 4, 'dropped', 'dropped'],
  ['legacy.iptables-save', 4, 'passes', 'partly'],
  ['firewalld.nft', 4, 'dropped', 'dropped'],
  ['firewalld-allowed.nft', 6, 'passes', 'passes'],
  ['handwritten.nft', 4, 'passes', 'dropped'],
  ['later-accept.nft', 6, 'dropped', 'dropped'],
];

function bytes(text: string): Uint8Array {
  return parseAddress(text)!.address;
}

function packet(family: 4 | 6, from: typeof SITE | typeof FAR, to: typeof from): ProbePacket {
  const ports = { protocol: 6, sourcePort: undefined, destinationPort: undefined } as const;
  const addresses = { source: bytes(from[family]), destination: bytes(to[family]) };
  return { family, in: from.link, out: to.link, ...addresses, ...ports, state: 'new' };
}

/** Of all base chains at the hook. */
function verdict(name: string, probe: ProbePacket): Passage {
  const chains = readDump(name);
  const walk = new FilterWalk(chains);
  const found = chains
    .filter(({ hook, type }) => hook === 'forward' && type === 'filter')
    .filter(({ family }) => family === 'inet' || family === (probe.family === 4 ? 'ip' : 'ip6'))
    .map((chain) => walk.passage(chain, probe));
  if (found.includes('dropped')) return 'dropped';
  return found.includes('partly') ? 'partly' : 'passes';
}

async function load(router: Namespace, name: string): Promise<void> {
  await router.run(['nft', 'flush', 'ruleset']);
  if (name.endsWith('.nft')) return void (await router.run(['nft', '-j', '-f', dumpPath(name)]));
  const base = name.endsWith('.ip6tables-save') ? 'ip6tables' : 'iptables';
  const program = name.startsWith('legacy') ? `${base}-legacy-restore` : `${base}-nft-restore`;
  await router.run([program], { input: await readFile(dumpPath(name), 'utf8') });
}

/** Whether TCP connects: refused by a filter or unanswered, it does not. */
async function connects(from: Namespace, address: string, port: number): Promise<boolean> {
  const open = `exec 3<>/dev/tcp/${address}/${port}`;
  return (await from.attempt(['timeout', '0.7', 'bash', '-c', open])).code === 0;
}

netnsSuite('host firewalls', ['nft', 'iptables-nft-restore', 'iptables-legacy-restore'], () => {
  test('the kernel does what the doctor says', { timeout: 60_000 }, async () => {
    await using lab = new Lab();
    const [site, router, far] = await lab.namespaces('site', 'router', 'far');
    await connect(
      { namespace: site, link: 'eth0', addresses: ['10.1.0.10/24', 'fd01::10/64'] },
      { namespace: router, link: 'lan0', addresses: ['10.1.0.1/24', 'fd01::1/64'] },
    );
    await connect(
      { namespace: far, link: 'eth0', addresses: ['10.2.0.10/24', 'fd02::10/64'] },
      { namespace: router, link: 'causeway0', addresses: ['10.2.0.1/24', 'fd02::1/64'] },
    );
    await site.ip('route add default via 10.1.0.1', 'route add default via fd01::1');
    await far.ip('route add default via 10.2.0.1', 'route add default via fd02::1');
    await router.forward();
    await Promise.all([site, far].flatMap((host) => PORTS.map((port) => startService(host, port))));
    const wrong: string[] = [];
    for (const [name, family, ...expected] of DUMPS) {
      await load(router, name);
      const ways = [
        [site, SITE, FAR],
        [far, FAR, SITE],
      ] as const;
      await Promise.all(
        ways.map(async ([host, from, to], i) => {
          const said = verdict(name, packet(family, from, to));
          const open = await Promise.all(PORTS.map((port) => connects(host, to[family], port)));
          const done = open[0] ? 'passes' : open[1] ? 'partly' : 'dropped';
          const line = `${name} from ${from.link}: said ${said}, is ${done}, known ${expected[i]}`;
          if (said !== done || said !== expected[i]) wrong.push(line);
        }),
      );
      if (name.startsWith('legacy')) {
        await router.run(['iptables-legacy', '-F']);
        await router.run(['iptables-legacy', '-P', 'FORWARD', 'ACCEPT']);
      }
    }
    expect(wrong).toEqual([]);

    // The command that the doctor gives for Docker's chain, run as it stands.
    await load(router, 'docker.iptables-save');
    for (const command of remedyOf('docker.iptables-save')) await router.run(command.split(' '));
    expect(await connects(site, FAR[4], PORTS[0])).toBe(true);
    expect(await connects(far, SITE[4], PORTS[0])).toBe(true);
    // And for rules of nobody's product.
    await load(router, 'later-accept.nft');
    for (const command of remedyOf('later-accept.nft')) await router.run(command.split(' '));
    expect(await connects(site, FAR[6], PORTS[0])).toBe(true);

    // Addresses: true or not, as the doctor says, and true again after its commands.
    const clients = {
      into: new ServiceClient(site, FAR[4], PORTS[0]),
      out: new ServiceClient(far, SITE[4], PORTS[0]),
    };
    const areTrue = async () => [
      (await clients.into.who('tcp')).from === SITE[4],
      (await clients.out.who('tcp')).from === FAR[4],
    ];
    for (const [rule, hidesSite, hidesFar] of REWRITES) {
      await router.run(['nft', 'flush', 'ruleset']);
      await router.run(['nft', '-f', '-'], { input: NAT_TABLE });
      await router.run(rule.split(' '));
      expect(await areTrue(), rule).toEqual([!hidesSite, !hidesFar]);
      const chains = await chainsOf(router, rule.split(' ')[0]!);
      const found = checkAddresses(SCOPES[4], factsOf(4, { chains, unread: undefined }));
      const count = Number(hidesSite) + Number(hidesFar);
      expect(found.filter(({ status }) => status === 'warning')).toHaveLength(count);
      for (const command of found.flatMap(({ remedy }) => remedy)) {
        await router.run(['sh', '-c', command]);
      }
      expect(await areTrue(), rule).toEqual([true, true]);
      if (rule.startsWith('iptables-legacy')) {
        await router.run(['iptables-legacy', '-t', 'nat', '-F']);
      }
    }
  });
});

function remedyOf(name: string): readonly string[] {
  const family = name.endsWith('.nft') ? 6 : 4;
  const filters = { chains: readDump(name), unread: undefined };
  return checkForwardFilters(SCOPES[family], factsOf(family, filters)).flatMap(
    ({ remedy }) => remedy,
  );
}

function scopeOf(served: string, remote: string): GatewayScope {
  return {
    ...{
      interfaceName: 'causeway0',
      running: true,
      relays: [],
      apis: [],
      mesh: [],
      answers: false,
      mtu: 1_280,
    },
    ...{ served: [parsePrefix(served)!], remote: [parsePrefix(remote)!] },
  };
}

const SCOPES = {
  4: scopeOf('10.1.0.0/24', '10.2.0.0/24'),
  6: scopeOf('fd01::/64', 'fd02::/64'),
} as const;

function factsOf(family: 4 | 6, filters: HostFacts['filters']): HostFacts {
  const everything = family === 4 ? '10.1.0.0/24' : 'fd01::/64';
  const addresses = [parseInterfaceAddress(everything)!];
  const route = { prefix: parsePrefix(everything)!, interfaceName: 'lan0', via: undefined };
  return {
    links: [{ name: 'lan0', up: true, carrier: true, mtu: 1_500, addresses }],
    routes: [{ ...route, connected: true, advertised: false }],
    settings: () => undefined,
    filters,
    connections: undefined,
  };
}

/** Rules for addresses, each by its tool: of whom the other side does not see the true one. */
const REWRITES: readonly [rule: string, hidesSite: boolean, hidesFar: boolean][] = [
  ['iptables-nft -t nat -A POSTROUTING -s 10.1.0.0/24 ! -o docker0 -j MASQUERADE', true, false],
  ['iptables-nft -t nat -A POSTROUTING ! -o causeway0 -j MASQUERADE', false, true],
  ['iptables-nft -t nat -A POSTROUTING -o wan0 -j MASQUERADE', false, false],
  ['iptables-legacy -t nat -A POSTROUTING -o causeway0 -j SNAT --to-source 10.2.0.1', true, false],
  ['nft add rule ip router post oifname != lan0 masquerade', true, false],
  ['nft add rule ip router post masquerade', true, true],
];
const NAT_TABLE = `table ip router {
  chain post { type nat hook postrouting priority srcnat; policy accept; }
}`;

/** Of the tool that the rule is for, read as the program reads those of its host. */
async function chainsOf(router: Namespace, program: string): Promise<readonly FilterChain[]> {
  if (program === 'nft') {
    const text = await router.run(['nft', '-j', '-t', 'list', 'ruleset']);
    return parseNftRuleset(JSON.parse(text)).chains;
  }
  const tool = program === 'iptables-nft' ? 'iptables' : 'iptables-legacy';
  return parseIptablesSave(await router.run([`${program}-save`, '-t', 'nat']), 4, tool);
}
