/**
 * The two roles of a gateway on a real LAN, both at once (lab/lan-site.ts), towards a site whose
 * gateway has two arms (lab/mesh-lab.ts):
 *
 *   by-gateway ─┐                       ┌─ router ── internet ── nat ── gateway b ── host b
 *   by-router ──┴─ switch ─ gateway lan ┘               └── edge
 */
import { expect, test } from 'vitest';
import { isShut, opens } from '../../lab/connect.ts';
import { Lab } from '../../lab/lab.ts';
import { LanSite } from '../../lab/lan-site.ts';
import { EDGE, INTERFACE, MeshLab, type Site } from '../../lab/mesh-lab.ts';
import type { Namespace } from '../../lab/namespace.ts';
import { ping, reach } from '../../lab/ping.ts';
import { ServiceClient, startService } from '../../lab/service.ts';
import { netnsSuite } from './suite.ts';

const PORT = 7;
const SECONDS = 120_000;

/** None of these is the default, and the kernel changes some by itself when forwarding is switched. */
const ODD = {
  'net.ipv4.conf.all.accept_redirects': 0,
  'net.ipv4.conf.all.rp_filter': 1,
  'net.ipv4.conf.lo.forwarding': 1,
  'net.ipv6.conf.lo.forwarding': 1,
};

async function settings(namespace: Namespace): Promise<string[]> {
  const text = await namespace.run(['sysctl', '-a', '-r', '^net\\.ipv[46]\\.(conf|ip_forward)']);
  return text.split('\n').filter((line) => !/stable_secret|causeway/.test(line));
}

async function wayTo(from: Namespace, address: string): Promise<string> {
  return (await from.attempt(['ip', 'route', 'get', address])).stdout;
}

netnsSuite('roles on a LAN', ['nft', 'sysctl'], () => {
  test('default gateway and static-route next hop', { timeout: SECONDS }, async () => {
    await using mesh = await MeshLab.open({ name: 'b', number: 2 });
    await using lab = new Lab();
    const b = mesh.site('b');
    const far = ['10.2.0.0/24', 'fd02::/64', '100.96.0.0/12'];
    const lan = await LanSite.open(lab, mesh.internet, 3, far);
    const { gateway, byGateway, byRouter, router } = lan;
    await mesh.startEdge();
    await gateway.sysctl(ODD);
    await gateway.ip('route replace default via fe80::254 dev eth0 proto ra');
    const before = await settings(gateway);
    await Promise.all([
      ...[byGateway, byRouter, b.host].map((host) => startService(host, PORT)),
      ...[lan.site, b].map(async (site) => site.up('--token', await mesh.create(site))),
    ]);

    const during = await settings(gateway);
    for (const line of [
      'net.ipv4.ip_forward = 1',
      'net.ipv6.conf.all.forwarding = 1',
      'net.ipv6.conf.eth0.accept_ra = 2',
      'net.ipv4.conf.all.send_redirects = 0',
      'net.ipv4.conf.eth0.send_redirects = 0',
    ]) {
      expect(during).toContain(line);
    }

    // A host that takes its router's redirects soon goes to the gateway by itself: after a packet or
    // two, because the first redirect only makes it look for the gateway's hardware address.
    await byRouter.sysctl({ 'net.ipv4.conf.eth0.accept_redirects': 1 });
    await reach(byRouter, b.address[4]);
    await ping(byRouter, b.address[4], 5, 0.1);
    expect(await wayTo(byRouter, b.address[4])).toMatch(/via 10\.3\.0\.1 .*\n.*redirected/);
    expect(await opens(byRouter, b.address[4], PORT)).toBe(true);
    await byRouter.ip('route flush cache');

    // Hosts that take no redirects: everything of by-router goes by its router.
    await byRouter.sysctl({
      'net.ipv4.conf.all.accept_redirects': 0,
      'net.ipv4.conf.eth0.accept_redirects': 0,
      'net.ipv6.conf.eth0.accept_redirects': 0,
    });
    await everyWay(lan, b);
    expect(await lan.passedByRouter()).toBeGreaterThan(20);
    expect((await lan.site.status()).problems).toEqual([]);

    // The Internet as before: by the gateway with one arm, by the one with two, and by the router.
    await b.nat.ip('route add 10.2.0.0/24 via 192.168.2.2', 'route add fd02::/64 via fd20::2');
    for (const host of [byGateway, byRouter, b.host]) {
      await Promise.all([reach(host, EDGE[4]), reach(host, EDGE[6])]);
    }
    await Promise.all([EDGE[4], EDGE[6]].map((address) => ping(byGateway, address, 5, 0.1)));
    expect(await wayTo(byGateway, EDGE[4])).not.toContain('redirected');
    expect(await wayTo(byGateway, EDGE[6])).toContain('via fe80::1 ');

    // A policy tracks connections: our gateway sees both halves of each, whatever the router does.
    const rules = { default: 'deny', rules: [{ action: 'allow', protocol: ['tcp', 'udp'] }] };
    const file = mesh.edge.file('policy.json', JSON.stringify(rules));
    await mesh.connector('policy', 'set', file);
    await everyConnection(lan, b);
    const { policy } = (await lan.site.status()) as unknown as {
      policy: { version: number; counters: { invalid: number } };
    };
    expect(policy).toMatchObject({ version: 1, counters: { invalid: 0 } });

    // A router that drops what its own tracking calls invalid sees one half only, and must let it pass.
    await router.nft(`
      table inet strict {
        chain forward {
          type filter hook forward priority 10
          ct state invalid drop
        }
      }`);
    const [, second] = lan.hosts;
    expect(await isShut(b.host, second!.address[4], PORT)).toBe(true);
    await router.run(
      'nft insert rule inet strict forward iifname eth0 oifname eth0 accept'.split(' '),
    );
    await everyConnection(lan, b);

    // A connected subnet wins over a remote route, and that is said.
    await mesh.connector('routes', 'add', '10.3.0.128/25', '--connector', 'b');
    for (;;) {
      const { problems, routes } = await lan.site.status();
      if (!routes.some(({ prefix }) => prefix === '10.3.0.128/25')) continue;
      expect(problems.join()).toContain(
        '10.3.0.128/25 does not go into the mesh: 10.3.0.0/24 (connected to eth0) is local',
      );
      break;
    }
    expect(await wayTo(gateway, '10.3.0.200')).toContain('dev eth0');
    expect(await wayTo(gateway, b.address[4])).toContain(`dev ${INTERFACE}`);

    await lan.site.down();
    expect(await settings(gateway)).toEqual(before);
  });
});

interface Way {
  readonly from: Namespace;
  readonly source: string;
  readonly to: string;
}

/** Of both hosts to the far one, and back. */
function waysOf(lan: LanSite, b: Site, family: 4 | 6): Way[] {
  return lan.hosts.flatMap(({ host, address }) => [
    { from: host, source: address[family], to: b.address[family] },
    { from: b.host, source: b.address[family], to: address[family] },
  ]);
}

/** TCP and UDP every way, with their true sources. */
async function everyWay(lan: LanSite, b: Site): Promise<void> {
  const ways = ([4, 6] as const).flatMap((family) => waysOf(lan, b, family));
  await Promise.all(
    ways.map(async ({ from, source, to }) => {
      const client = new ServiceClient(from, to, PORT);
      expect((await client.who('tcp')).from).toBe(source);
      expect((await client.who('udp')).from).toBe(source);
    }),
  );
}

/** The same by TCP and IPv4, with a few packets each way. */
async function everyConnection(lan: LanSite, b: Site): Promise<void> {
  await Promise.all(
    waysOf(lan, b, 4).map(({ from, to }) => new ServiceClient(from, to, PORT).echo(20_000)),
  );
}
