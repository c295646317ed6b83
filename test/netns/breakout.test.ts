/**
 * Internet traffic that leaves by another site: three sites behind their gateways (lab/mesh-lab.ts).
 * Site a chooses b, which consents; c chooses nobody.
 *
 *   host a ── gateway a ── nat a ──┐
 *   host b ── gateway b ── nat b ──┼── internet 203.0.113.1 ── edge
 *   host c ── gateway c ── nat c ──┘
 *
 * On its way out nat a sends packets of at most 1400 bytes; what comes to it may be longer.
 * A nat shows its own address to the internet. That of b does not know site a, so that what gateway b
 * does not masquerade is never answered.
 */
import { writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { eventually } from '../../lab/eventually.ts';
import { API_PORT, CONNECTOR, MeshLab, type Site } from '../../lab/mesh-lab.ts';
import { isSilent, reach } from '../../lab/ping.ts';
import { ServiceClient, startService } from '../../lab/service.ts';
import type { MeshStatus } from '../../src/gateway/mesh/mesh-status.ts';
import { networkState } from './network-state.ts';
import { netnsSuite } from './suite.ts';

const PORT = 7;
const INTERNET = { 4: '203.0.113.1', 6: '2001:db8:113::1' } as const;
/** What the internet sees of a site, and the nat of what its gateway sends. */
const outside = (n: number) => ({ 4: `198.51.${n}.2`, 6: `2001:db8:${n}::2` }) as const;
const FAMILIES = [4, 6] as const;
const DEVICE = ['dev', 'causeway0'];

async function statusOf(site: Site): Promise<MeshStatus> {
  return (await site.status()) as unknown as MeshStatus;
}

/** A router says at once that it does not carry that. */
async function isRefused(from: Site['host'], address: string): Promise<void> {
  const { stdout } = await from.attempt(['ping', '-n', '-c', '1', '-W', '5', address]);
  expect(stdout).toMatch(/Unreachable|No route|prohibited|filtered/i);
}

/** By whom the Internet traffic of a site goes. */
async function goes(site: Site, ipv4: string, ipv6: string): Promise<void> {
  const holds = async (): Promise<boolean> => {
    const { breakout } = await statusOf(site);
    const ways = [breakout?.ipv4, breakout?.ipv6].map((way) => way?.connector ?? way?.way);
    if (ways.join() !== `${ipv4},${ipv6}`) return false;
    // What is said is installed a moment later.
    const installed = await Promise.all(
      ['-4', '-6'].map((family) =>
        site.gateway.run(['ip', family, 'route', 'show', 'table', 'all', 'default', ...DEVICE]),
      ),
    );
    return [ipv4, ipv6].every((way, i) => (installed[i] !== '') === (way === 'b'));
  };
  await eventually(holds, `${site.name} goes ${ipv4}, ${ipv6}`);
}

/** Servers' SYNs come to the site's host with what fits into the MTU of the path to b, and the kernel knows that. */
async function segments(site: Site, mtu: number, connect: () => Promise<unknown>): Promise<void> {
  const size = { 4: mtu - 40, 6: mtu - 60 };
  const found = async () => {
    const { peers } = await statusOf(site);
    const rules = await site.gateway.run(['nft', 'list', 'ruleset']);
    const isClamped = FAMILIES.every((family) => rules.includes(`size set ${size[family]}`));
    return peers.find(({ connector }) => connector === 'b')?.mtu === mtu && isClamped;
  };
  await eventually(found, `the path carries ${mtu}`);
  // Some of this size, and none of another.
  const rules = FAMILIES.flatMap((family) => {
    const segments = `meta nfproto ipv${family} tcp flags & (syn|ack) == syn|ack tcp option maxseg size`;
    return [`${segments} ${size[family]} counter`, `${segments} != ${size[family]} counter`];
  });
  await site.host.nft(
    `table inet seen {
      chain input {
        type filter hook input priority 0
        ${rules.join('\n')}
      }
    }`,
  );
  await connect();
  const seen = await site.host.run(['nft', 'list', 'table', 'inet', 'seen']);
  const counts = [...seen.matchAll(/packets (\d+)/g)].map(([, packets]) => packets !== '0');
  expect(counts).toEqual([true, false, true, false]);
  await site.host.nft('delete table inet seen');
}

/** The gateway hears nothing from the edge's API until it is let again; its connection survives. */
async function hold(site: Site): Promise<void> {
  await site.nat.nft(
    `table inet hold {
      chain forward {
        type filter hook forward priority 0
        tcp dport ${API_PORT} drop
        tcp sport ${API_PORT} drop
      }
    }`,
  );
}

/** Packets that came out of the mesh and were not let in. */
async function keptOut(site: Site): Promise<number> {
  const { drops } = await statusOf(site);
  return drops.find(({ reason }) => reason === 'in_destination_not_own')?.packets ?? 0;
}

netnsSuite('breakout', ['nft', 'sysctl'], () => {
  test('Internet traffic leaves by the chosen connector, with its consent only', {
    timeout: 240_000,
  }, async () => {
    const plans = ['a', 'b', 'c'].map((name, i) => ({ name, number: i + 1 }));
    await using mesh = await MeshLab.open(...plans);
    const [a, b, c] = mesh.sites as [Site, Site, Site];
    await mesh.startEdge();
    for (const { nat, number } of [a, c]) {
      await nat.ip(
        `route add 10.${number}.0.0/24 via 192.168.${number}.2`,
        `route add fd0${number}::/64 via fd${number}0::2`,
      );
    }
    await a.nat.ip('route change default via 198.51.1.1 mtu 1400');
    // A network at b that is nobody's route, and a kernel at a that is strict about sources.
    await b.gateway.ip('address add 10.77.0.1/24 dev lan0');
    await b.host.ip('address add 10.77.0.10/24 dev eth0');
    // One at c that will be its route.
    await c.gateway.ip('address add 10.80.0.1/24 dev lan0');
    await c.host.ip('address add 10.80.0.10/24 dev eth0');
    // And two on the way of its default route, as where a gateway has one interface only.
    const near = ['10.78.0.1', '10.79.0.1', 'fd78::1', '2001:db8:78::1', '169.254.169.254'];
    await b.nat.ip(...near.map((address) => `address add ${address} dev lan0`));
    await b.nat.ip('route add 10.78.0.0/24 dev lan0');
    await b.gateway.ip(
      'address add 10.78.0.2/24 dev wan0',
      'route add 10.79.0.0/24 via 192.168.2.1',
      'route add fd78::/64 via fd20::1',
      'route add 2001:db8:78::/64 dev wan0 proto ra',
    );
    await a.gateway.run(['sysctl', '-qw', 'net.ipv4.conf.all.rp_filter=1']);
    const services = [mesh.internet, b.host, b.nat];
    await Promise.all(services.map((namespace) => startService(namespace, PORT)));
    const who = async (from: Site['host'], address: string): Promise<string> =>
      (await new ServiceClient(from, address, PORT).who('tcp')).from;

    const before = await Promise.all([a, b].map(({ gateway }) => networkState(gateway)));
    const tokens = [await mesh.create(a), await mesh.create(b), await mesh.create(c)];
    const file = a.gateway.file('connector.toml', 'breakout = ["b"]\n');
    await Promise.all([
      a.up('--token', tokens[0]!, '--config', file),
      b.up('--token', tokens[1]!),
      c.up('--token', tokens[2]!),
    ]);
    await reach(a.host, b.address[4]);

    // Chosen, but not offered: refused, in both families.
    await goes(a, 'refused', 'refused');
    await isRefused(a.host, INTERNET[4]);
    await isRefused(a.host, INTERNET[6]);
    expect((await statusOf(a)).problems.join()).toMatch(/refused \(0\.0\.0\.0\/0, ::\/0\)/);

    // Who has not heard of its own consent, or prefix, carries nobody's traffic there as yet: what comes
    // too early is not let out with a source that nobody can answer, and gets through when it is asked again.
    await Promise.all([hold(b), hold(c)]);
    await mesh.connector('routes', 'add', '10.80.0.0/24', '--connector', 'c');
    await mesh.connector('routes', 'add', '0.0.0.0/0', '--connector', 'b', '--allow-default');
    await goes(a, 'b', 'refused');
    expect(await isSilent(a.host, '10.80.0.10')).toBe(true);
    expect(await keptOut(c)).toBeGreaterThan(0);
    const asked = who(a.host, INTERNET[4]);
    await eventually(async () => (await keptOut(b)) > 0, 'b keeps it out');
    await Promise.all([b, c].map(({ nat }) => nat.nft('delete table inet hold')));
    expect(await asked).toBe(outside(2)[4]);
    await reach(a.host, '10.80.0.10', 20);
    expect(await who(a.host, INTERNET[4])).toBe(outside(2)[4]);
    await isRefused(a.host, INTERNET[6]);
    await mesh.connector('routes', 'add', '::/0', '--connector', 'b', '--allow-default');
    await goes(a, 'b', 'b');
    for (const family of FAMILIES) {
      await reach(a.host, INTERNET[family]);
      expect(await who(a.host, INTERNET[family])).toBe(outside(2)[family]);
      // b's own address in place of the host's; to b's site the host's own.
      expect(await who(a.host, outside(2)[family])).toBe(
        ['192.168.2.2', 'fd20::2'][family / 2 - 2],
      );
      expect(await who(a.host, b.address[family])).toBe(a.address[family]);
      // Who chose nobody, and what the gateway sends itself, go their own way.
      expect(await who(c.host, INTERNET[family])).toBe(outside(3)[family]);
      expect(await who(a.gateway, INTERNET[family])).toBe(outside(1)[family]);
    }
    // Segments of a's hosts to the Internet are as long as a's path to b, which b does not know, carries.
    await segments(a, 1_328, () => Promise.all(FAMILIES.map((one) => who(a.host, INTERNET[one]))));
    // The Internet is neither b's other networks nor b itself.
    await isRefused(a.host, '10.77.0.10');
    await isRefused(a.host, '10.77.0.1');
    for (const address of near) {
      await reach(b.gateway, address);
      await isRefused(a.host, address);
    }
    // What b's host hides behind its mesh IP, as containers, has its answers all the same.
    await b.gateway.nft(
      `table ip hide {
        chain out {
          type nat hook postrouting priority 100
          ip saddr 10.77.0.0/24 masquerade
        }
      }`,
    );
    await b.host.run(['ping', '-n', '-c', '1', '-W', '5', '-I', '10.77.0.10', a.address[4]]);
    await b.gateway.nft('delete table ip hide');
    // Explained the same: all is well with the Internet, and nothing is told of what else b has.
    const explain = [CONNECTOR, 'routes', 'explain', a.address[4]];
    const [internet, beside] = await Promise.all(
      [INTERNET[4], '10.77.0.10'].map((to) => a.gateway.attempt([...explain, to])),
    );
    expect(internet).toMatchObject({ code: 0, stdout: expect.stringContaining('0.0.0.0/0') });
    expect(beside!.stdout).toContain('It does not pass: destination at b.');
    const [, ofB = ''] = beside!.stdout.split(/^At /m).slice(1);
    expect(ofB).toMatch(/^b:/);
    expect(ofB).not.toContain('lan0');
    const listed = await mesh.connector('routes', 'ls');
    expect(listed).toContain('Internet traffic goes out by b (0.0.0.0/0) from a.');
    expect((await statusOf(c)).routes).toContainEqual(
      expect.objectContaining({ prefix: '::/0', connector: 'b', state: 'offered' }),
    );
    expect((await statusOf(a)).problems).toEqual([]);

    // What the policy denies does not leave: who may reach b's site may not therefore use its way out.
    const toSite = '{ "action": "allow", "from": "a", "to": "b" }';
    const toInternet = '{ "action": "allow", "from": "a", "to": "internet", "protocol": "tcp" }';
    const setPolicy = async (version: number, ...rules: string[]): Promise<void> => {
      const text = `{ "default": "deny", "rules": [${rules}] }`;
      await mesh.connector('policy', 'set', mesh.edge.file('policy.json', text));
      for (const site of [a, b]) {
        const holds = async () => (await statusOf(site)).policy?.version === version;
        await eventually(holds, `version ${version}`);
      }
    };
    await setPolicy(1, toSite);
    expect(await isSilent(a.host, INTERNET[4])).toBe(true);
    await reach(a.host, b.address[4]);
    await setPolicy(2, toSite, toInternet);
    for (const family of FAMILIES) {
      expect(await who(a.host, INTERNET[family])).toBe(outside(2)[family]);
    }
    const anything = mesh.edge.file('policy.json', '{ "default": "allow", "rules": [] }');
    await mesh.connector('policy', 'set', anything);

    // Consent withdrawn, and what happens then is a's choice, taken while it runs.
    await mesh.connector('routes', 'rm', '0.0.0.0/0', '--connector', 'b');
    await goes(a, 'refused', 'b');
    await isRefused(a.host, INTERNET[4]);
    writeFileSync(file, 'breakout = ["b"]\nbreakout-fallback = "own"\n');
    await a.gateway.run(['kill', '-HUP', String((await a.status()).pid)]);
    await goes(a, 'own', 'b');
    expect(await who(a.host, INTERNET[4])).toBe(outside(1)[4]);
    expect(await who(a.host, INTERNET[6])).toBe(outside(2)[6]);

    // b is cut off: a's way to the edge does not depend on it, and a learns that it is deleted.
    await b.gateway.ip('link set wan0 down');
    await mesh.connector('delete', 'b');
    await goes(a, 'own', 'own');
    expect(await who(a.host, INTERNET[6])).toBe(outside(1)[6]);
    await Promise.all([a.down(), b.down()]);
    await b.gateway.ip('link set wan0 up');
    expect(await networkState(a.gateway)).toBe(before[0]);
    expect(await b.gateway.run(['nft', 'list', 'ruleset'])).toBe('');
  });
});
