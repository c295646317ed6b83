/**
 * Gateways join an edge that knows them only by their token, and carry their sites' traffic
 * (lab/mesh-lab.ts): what works, what is refused with which code, and what is left of it in the kernel.
 * One mesh grows from test to test: nobody, then a and b, then c in another virtual network, then d.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { getPriority } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventually } from '../../lab/eventually.ts';
import { CONNECTOR, EDGE, INTERFACE, MeshLab, type Site } from '../../lab/mesh-lab.ts';
import { isSilent, ping, reach } from '../../lab/ping.ts';
import { pingedBy, watchPings } from '../../lab/seen.ts';
import { ServiceClient, startService } from '../../lab/service.ts';
import { decodeJoinToken, encodeJoinToken } from '../../src/control/join-token.ts';
import type { MeshStatus } from '../../src/gateway/mesh/mesh-status.ts';
import { networkState } from './network-state.ts';
import { netnsSuite } from './suite.ts';

const PORT = 7;
const SECONDS = 120_000;
const FORWARDING = ['sysctl', '-n', 'net.ipv4.ip_forward', 'net.ipv6.conf.all.forwarding'];
const CALLBACK = join(import.meta.dirname, '../../lab/programs/callback.ts');

netnsSuite('joining a mesh', ['nft', 'sysctl'], () => {
  let mesh: MeshLab;
  let a: Site;
  let b: Site;
  /** With the addresses of b, for another virtual network. */
  let c: Site;
  let d: Site;
  /** Of the gateway of a, before anything of ours ran there. */
  let untouched: string;
  const stateOf = async ({ gateway }: Site): Promise<string> =>
    (await networkState(gateway)) + (await gateway.run(FORWARDING));
  beforeAll(async () => {
    mesh = await MeshLab.open(
      { name: 'a', number: 1 },
      { name: 'b', number: 2 },
      { name: 'c', number: 3, lan: 2 },
      { name: 'd', number: 4 },
    );
    [a, b, c, d] = mesh.sites as [Site, Site, Site, Site];
    untouched = await stateOf(a);
    await Promise.all([mesh.startEdge(), startService(a.host, PORT), startService(b.host, PORT)]);
  });
  afterAll(() => mesh?.[Symbol.asyncDispose]());

  test('what is refused: each with its code, and nothing is left', {
    timeout: SECONDS,
  }, async () => {
    const before = await networkState(a.gateway);
    const refused = async (site: Site, ...options: string[]): Promise<string | undefined> => {
      const command = [CONNECTOR, 'up', '--state-dir', site.stateDirectory, ...options];
      const { code, stderr } = await site.gateway.attempt(command);
      expect(code).toBe(1);
      return /^connector: .*\[([A-Z_]+)\]\n$/.exec(stderr)?.[1];
    };
    expect(await refused(a)).toBe('NOT_ENROLLED');
    const token = await mesh.create(a);
    expect(await refused(a, '--token', token.slice(0, -6))).toBe('JOIN_TOKEN_DAMAGED');
    const decoded = decodeJoinToken(token);
    if (!decoded.ok) throw new Error(decoded.message);
    const elsewhere = encodeJoinToken({ ...decoded.value, tlsPin: '0'.repeat(64) });
    expect(await refused(a, '--token', elsewhere)).toBe('EDGE_UNTRUSTED');
    const nowhere = encodeJoinToken({ ...decoded.value, urls: [`https://${EDGE[4]}:1`] });
    expect(await refused(a, '--token', nowhere)).toBe('EDGE_UNREACHABLE');
    const other = decoded.value.connector.replace(/^./, (digit) => (digit === '0' ? '1' : '0'));
    const foreign = encodeJoinToken({ ...decoded.value, connector: other as never });
    expect(await refused(a, '--token', foreign)).toMatch(/^JOIN_TOKEN_WRONG|NOT_FOUND$/);
    await mesh.connector('rotate-token', 'a');
    expect(await refused(a, '--token', token)).toBe('JOIN_TOKEN_REVOKED');
    expect(await networkState(a.gateway)).toBe(before);

    const used = await mesh.create(b, '--max-replicas', '1');
    await b.up('--token', used);
    expect(await refused(a, '--token', used)).toBe('REPLICA_LIMIT');
    const second = ['--interface', 'causeway1'];
    expect(await refused(b, ...second)).toBe('DIRECTORY_IN_USE');
    expect((await b.status()).stream.state).toBe('open');
    expect(await networkState(a.gateway)).toBe(before);
    const { joinToken } = JSON.parse(await mesh.connector('rotate-token', 'a', '--json')) as {
      joinToken: string;
    };
    await a.up('--token', joinToken);
  });

  test('control work yields to packets', async () => {
    const { pid } = await a.status();
    const nice = new Map<string, number>();
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      // Behind the name in parentheses, the 19th number of all is the nice value (proc_pid_stat(5)).
      const [, name, rest] = /\((.*)\) (.*)/.exec(
        readFileSync(`/proc/${pid}/task/${thread}/stat`, 'utf8'),
      )!;
      nice.set(thread === String(pid) ? 'main' : name!, Number(rest!.split(' ')[16]));
    }
    expect(nice.get('data-plane')).toBe(getPriority());
    expect(nice.get('main')).toBe(getPriority() + 5);
  });

  test('traffic both ways with true sources, of every size', { timeout: SECONDS }, async () => {
    for (const [from, to] of [
      [a, b],
      [b, a],
    ] as const) {
      for (const family of [4, 6] as const) {
        const client = new ServiceClient(from.host, to.address[family], PORT);
        expect((await client.who('tcp')).from).toBe(from.address[family]);
        expect((await client.who('udp')).from).toBe(from.address[family]);
        await client.echo(2_000_000);
      }
    }
    const client = new ServiceClient(a.host, b.address[4], PORT);
    // Each host learns from its gateway that its 1500 bytes are too many: one datagram is lost for it.
    for (let i = 0; i < 2; i++) await client.datagrams(1_400).catch(() => {});
    const small = Array.from({ length: 64 }, (_, i) => i + 1);
    await client.datagrams(...small, 1_391, 1_392, 1_393, 1_472, 9_000, 40_001, 65_506, 65_507);
    // The whole of one packet, unfragmented, and not a byte more.
    const whole = ['-M', 'do', '-s', String(1_420 - 28)];
    await b.host.run(['ping', '-c', '1', '-W', '5', ...whole, a.address[4]]);
    const more = ['-M', 'do', '-s', String(1_421 - 28)];
    const { code, stdout, stderr } = await b.host.attempt([
      'ping',
      '-c',
      '2',
      '-W',
      '2',
      ...more,
      a.address[4],
    ]);
    expect(code).not.toBe(0);
    expect(stdout + stderr).toMatch(/mtu ?[=:] ?1420/);
    const status = await a.status();
    expect(status.peers).toMatchObject([
      { connector: 'b', path: { kind: 'relayed', edge: 'edge' }, rtt: expect.any(Number) },
    ]);
    expect(status.problems).toEqual([]);
    // What the host says to groups is told apart from what has no route.
    const { drops } = status as unknown as MeshStatus;
    expect(drops.map(({ reason }) => reason)).not.toContain('out_no_route');
    const printed = JSON.parse(await a.gateway.run([CONNECTOR, 'status', '--json']));
    const { pid, mesh: own, routes } = status;
    expect(printed).toMatchObject([{ pid, mesh: own, routes }]);
    const said = await a.gateway.run([CONNECTOR, 'ping', 'b', '-c', '1']);
    expect(said).toContain(`relayed via edge (${EDGE[4]}:51820)`);
    expect(said).toContain('1 received');
  });

  test('a service calls a client back, as SIP does', { timeout: SECONDS }, async () => {
    const service = b.host.start([process.execPath, CALLBACK, 'serve', '5060']);
    await service.line(/ready/);
    const register = [process.execPath, CALLBACK, 'register', b.address[4], '5060'];
    const client = a.host.start(register);
    await client.line(/registered/, 20);
    await service.line(new RegExp(`client ${a.address[4]}`));
    // Long after its NAT has forgotten flows of UDP that one side alone keeps up.
    await delay(3_000);
    service.write('INVITE\n');
    await client.line(new RegExp(`${b.address[4]} INVITE`));
  });

  test('a delta changes what it names, and nothing else', { timeout: SECONDS }, async () => {
    const connection = new ServiceClient(a.host, b.address[4], PORT).stream();
    await connection.line(/from/);
    const before = (await a.status()).peers[0]!.lastHandshake;
    const way = async (to: string): Promise<string> => {
      const { stdout } = await a.gateway.attempt(['ip', 'route', 'get', to]);
      return / dev (\S+)/.exec(stdout)?.[1] ?? 'none';
    };
    await mesh.connector('routes', 'add', '172.20.0.0/16', '--connector', 'b');
    await eventually(async () => (await way('172.20.1.1')) === INTERFACE, 'the route is there');
    await mesh.connector('routes', 'rm', '172.20.0.0/16', '--connector', 'b');
    await eventually(async () => (await way('172.20.1.1')) !== INTERFACE, 'the route is gone');
    // A subnet of our own wins, and is said.
    await mesh.connector('routes', 'add', '192.168.0.0/16', '--connector', 'b');
    await eventually(async () => (await way('192.168.99.1')) === INTERFACE, 'the route is there');
    expect(await way('192.168.1.1')).toBe('wan0');
    const { routes, problems } = await a.status();
    expect(routes).toContainEqual(
      expect.objectContaining({ prefix: '192.168.0.0/16', state: 'partly local' }),
    );
    expect(problems.join()).toContain('the part 192.168.1.0/24 (connected to wan0) stays local');
    connection.write('alive\n');
    await connection.line(/alive/);
    expect((await a.status()).peers[0]!.lastHandshake).toBe(before);
    await mesh.connector('routes', 'rm', '192.168.0.0/16', '--connector', 'b');
  });

  test('the same addresses in another virtual network are unreachable', {
    timeout: SECONDS,
  }, async () => {
    await mesh.connector('vnets', 'add', 'other');
    await Promise.all([b, c].map(({ host }) => watchPings(host)));
    await c.up('--token', await mesh.create(c, '--vnet', 'other'));
    await reach(a.host, b.address[4]);
    expect(await isSilent(c.host, a.address[4])).toBe(true);
    const { mesh: own } = await a.status();
    expect(await isSilent(c.gateway, own!.ipv4)).toBe(true);
    expect(await pingedBy(b.host, 4)).toEqual([a.address[4]]);
    expect(await pingedBy(c.host, 4)).toEqual([]);
    expect((await c.status()).peers).toEqual([]);
  });

  test('advertised prefixes wait for approval; a pending one is said', {
    timeout: SECONDS,
  }, async () => {
    const created = await mesh.connector('create', 'd', '--json');
    const { joinToken } = JSON.parse(created) as { joinToken: string };
    await d.up('--token', joinToken, '--advertise', ...d.prefixes);
    expect((await d.status()).problems.join()).toContain('10.4.0.0/24 waits for approval');
    expect(await isSilent(b.host, d.address[4])).toBe(true);
    for (const prefix of d.prefixes) {
      await mesh.connector('routes', 'approve', prefix, '--connector', 'd');
    }
    await eventually(async () => (await d.status()).problems.length === 0, 'nothing is wrong');
    await reach(b.host, d.address[4]);
  });

  test('the kernel: what is added, and that nothing is left', { timeout: SECONDS }, async () => {
    const rules = await a.gateway.run(['nft', 'list', 'ruleset']);
    expect(rules).toContain('maxseg size set 1380');
    expect(rules).not.toMatch(/masquerade|snat|dnat/);
    expect(await a.gateway.run(FORWARDING)).toBe('1\n1\n');
    await a.down();
    expect(await stateOf(a)).toBe(untouched);

    // As on most hosts; a lab's makes no link-local addresses.
    await a.gateway.sysctl({ 'net.ipv6.conf.default.addr_gen_mode': 0 });
    await a.up('--no-forwarding');
    await a.gateway.sysctl({ 'net.ipv6.conf.default.addr_gen_mode': 1 });
    const link = ['ip', '-6', 'address', 'show', 'dev', INTERFACE, 'scope', 'link'];
    expect(await a.gateway.run(link)).toBe('');
    expect(await a.gateway.run(FORWARDING)).toBe('0\n0\n');
    expect((await a.status()).problems.join()).toContain('net.ipv4.ip_forward is 0');
    process.kill((await a.status()).pid, 'SIGKILL');
    await eventually(
      async () => !(await a.gateway.run(['ip', '-o', 'link'])).includes(INTERFACE),
      'the interface is gone',
    );
    expect(await stateOf(a)).not.toBe(untouched);
    await a.down();
    expect(await stateOf(a)).toBe(untouched);

    await a.up();
    await a.gateway.nft(`
      table inet strict {
        chain forward { type filter hook forward priority 0; policy drop; }
      }`);
    const { problems } = await a.status();
    expect(problems.join()).toContain(
      'The chain inet strict forward drops what it does not accept',
    );
    expect(await ping(a.gateway, '100.96.0.2', 3)).toHaveLength(3);
    await a.down();
    await a.gateway.nft('delete table inet strict');
  });

  test('forwarding stays on for who came to rely on it meanwhile', {
    timeout: SECONDS,
  }, async () => {
    const { gateway } = a;
    const wan = ['sysctl', '-n', 'net.ipv4.conf.wan0.forwarding', 'net.ipv6.conf.wan0.forwarding'];
    const states = async () => (await gateway.run(FORWARDING)) + (await gateway.run(wan));
    await a.up();
    // As Docker does it, which finds forwarding on.
    const docker = `
      table ip nat {
        chain POSTROUTING {
          type nat hook postrouting priority srcnat;
          ip saddr 172.17.0.0/16 oifname != "docker0" masquerade
        }
      }`;
    await gateway.nft(docker);
    const kill = async (): Promise<void> => {
      process.kill((await a.status()).pid, 'SIGKILL');
      await eventually(
        async () => !(await gateway.run(['ip', '-o', 'link'])).includes(INTERFACE),
        'the interface is gone',
      );
    };
    const { stderr } = await gateway.attempt([CONNECTOR, 'down']);
    expect(stderr).toMatch(/^connector: warning: net\.ipv4\.ip_forward was 0 and stays 1: /);
    expect(stderr).not.toContain('ipv6');
    expect(await states()).toBe('1\n0\n1\n0\n');

    // Rules that were there before say nothing of who relies on it.
    await gateway.sysctl({ 'net.ipv4.ip_forward': 0 });
    await a.up();
    expect(await states()).toBe('1\n1\n1\n1\n');
    await a.down();
    expect(await states()).toBe('0\n0\n0\n0\n');
    await gateway.nft('delete table ip nat');

    // Nor do those that were there when it was switched on for the second time, and not for the first.
    const route = ['10.1.0.0/24', '--connector', 'a'];
    await a.up();
    await mesh.connector('routes', 'rm', ...route);
    await eventually(async () => (await states()) === '0\n1\n0\n1\n', 'IPv4 is not forwarded');
    await gateway.nft(docker);
    await mesh.connector('routes', 'add', ...route);
    await eventually(async () => (await states()) === '1\n1\n1\n1\n', 'IPv4 is forwarded');
    await kill();
    await a.down();
    expect(await states()).toBe('0\n0\n0\n0\n');
    await gateway.nft('delete table ip nat');

    // One that was killed, and rules that came and went.
    await a.up();
    await gateway.nft(
      'table ip6 nat { chain x { type nat hook postrouting priority 0; oifname wan0 masquerade; }; }',
    );
    await kill();
    await a.down();
    expect(await states()).toBe('0\n1\n0\n1\n');
    await gateway.sysctl({ 'net.ipv6.conf.all.forwarding': 0 });
    await gateway.nft('delete table ip6 nat');
  });

  test('IPv6 between gateways and edge', { timeout: SECONDS }, async () => {
    await using mesh = await MeshLab.open({ name: 'a', number: 1 }, { name: 'b', number: 2 });
    await mesh.startEdge(EDGE[6]);
    const [a, b] = mesh.sites as [Site, Site];
    for (const { gateway } of mesh.sites) await gateway.ip('route del default');
    await mesh.joinAll();
    await reach(a.host, b.address[4]);
    await reach(b.host, a.address[6]);
    const said = await a.gateway.run([CONNECTOR, 'status']);
    expect(said).toContain(`[${EDGE[6]}]:51820`);
  });
});
