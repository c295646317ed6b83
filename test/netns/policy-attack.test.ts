/**
 * What somebody does to get past a policy, on real packets: two sites behind their gateways and an edge
 * (lab/mesh-lab.ts; drawn in policy.test.ts), one mesh for all tests.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { INTERFACE, MeshLab, type Site } from '../../lab/mesh-lab.ts';
import { isSilent, reach } from '../../lab/ping.ts';
import { ServiceClient, startService } from '../../lab/service.ts';
import type { MeshStatus } from '../../src/gateway/mesh/mesh-status.ts';
import { netnsSuite } from './suite.ts';

const PORT = 7;
const SECONDS = 120_000;
/** The relay forwards between the two for the sake of one port; the rest is the gateways' to deny. */
const ONE_PORT =
  '{ "default": "deny", "rules": [{ "action": "allow", "from": "a", "protocol": "udp", "ports": 9 }] }';

const CHECKSUM = `
import socket, struct, time
def csum(b):
    if len(b) % 2: b += b'\\0'
    s = sum(struct.unpack('!%dH' % (len(b) // 2), b))
    while s >> 16: s = (s & 0xffff) + (s >> 16)
    return ~s & 0xffff
`;

/** Pings, put into the tunnel behind the gateway's own rules, as one in wrong hands would. */
function pingsPastRules(from: string, to: string): string {
  return `${CHECKSUM}
echo = struct.pack('!BBHHH', 8, 0, 0, 1, 1) + b'x' * 56
echo = echo[:2] + struct.pack('!H', csum(echo)) + echo[4:]
addresses = socket.inet_aton('${from}') + socket.inet_aton('${to}')
ip = struct.pack('!BBHHHBBH', 0x45, 0, 20 + len(echo), 1, 0, 64, 1, 0) + addresses
ip = ip[:10] + struct.pack('!H', csum(ip)) + ip[12:]
s = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
while True:
    s.sendto(ip + echo, ('${INTERFACE}', 0x0800))
    time.sleep(0.002)
`;
}

async function statusOf(site: Site): Promise<MeshStatus> {
  return (await site.status()) as unknown as MeshStatus;
}

/** Sets a policy; returns when both gateways enforce it. */
async function setPolicy(mesh: MeshLab, text: string): Promise<void> {
  const file = mesh.edge.file('policy.json', text);
  const { version } = JSON.parse(await mesh.connector('policy', 'set', file, '--json'));
  for (const site of mesh.sites) {
    const enforced = async (): Promise<unknown> => (await statusOf(site)).policy?.version;
    await expect.poll(enforced, { timeout: 20_000 }).toBe(version);
  }
}

netnsSuite('policy under attack', ['nft', 'bash', 'python3'], () => {
  let mesh: MeshLab;
  let a: Site;
  let b: Site;
  beforeAll(async () => {
    mesh = await MeshLab.open({ name: 'a', number: 1 }, { name: 'b', number: 2 });
    [a, b] = mesh.sites as [Site, Site];
    await Promise.all([mesh.startEdge(), startService(b.host, PORT)]);
    await mesh.joinAll();
  });
  afterAll(() => mesh?.[Symbol.asyncDispose]());

  test('an error about a connection that is denied by now is denied as well', {
    timeout: SECONDS,
  }, async () => {
    const stream = new ServiceClient(a.host, b.address[4], PORT).stream();
    await stream.line(/from/);
    await setPolicy(mesh, '{ "default": "allow", "rules": [{ "action": "log" }] }');
    stream.write('one\n');
    await stream.line(/^one$/, 20);
    const sport = /:(\d+) +[\d.:]+:7/.exec(
      await a.host.run(['ss', '-tnH', 'state', 'established', 'dport', '=', ':7']),
    )![1]!;
    await setPolicy(mesh, ONE_PORT);
    // "Fragmentation needed" with whatever the sender likes behind the header that it is about.
    const program = `
${CHECKSUM}a, b = socket.inet_aton('${a.address[4]}'), socket.inet_aton('${b.address[4]}')
tcp = struct.pack('!HHLLBBHHH', 7, ${sport}, 0, 0, 0x50, 0x10, 100, 0, 0)
ip = struct.pack('!BBHHHBBH4s4s', 0x45, 0, 40, 1, 0, 64, 6, 0, b, a)
ip = ip[:10] + struct.pack('!H', csum(ip)) + ip[12:]
body = ip + tcp + b'secret' * 20
head = struct.pack('!BBHL', 3, 1, 0, 0)
head = head[:2] + struct.pack('!H', csum(head + body)) + head[4:]
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
for i in range(20): s.sendto(head + body, ('${b.address[4]}', 0))
`;
    const received = async (): Promise<number> => {
      const text = await b.host.run(['cat', '/proc/net/snmp']);
      const [names, values] = text.split('\n').filter((line) => line.startsWith('Icmp:'));
      return Number(values!.split(' ')[names!.split(' ').indexOf('InMsgs')]);
    };
    const before = await received();
    const denied = (await statusOf(a)).policy!.counters.denied;
    await a.host.run(['python3', '-c', program]);
    await expect
      .poll(async () => (await statusOf(a)).policy!.counters.denied, { timeout: 10_000 })
      .toBe(denied + 20);
    expect((await received()) - before).toBe(0);
  });

  test('a firewall that is loaded anew does not take the policy away', {
    timeout: SECONDS,
  }, async () => {
    await setPolicy(mesh, '{ "default": "allow", "rules": [{ "action": "log" }] }');
    await reach(a.host, b.address[4]);
    await setPolicy(mesh, ONE_PORT);
    expect(await isSilent(a.host, b.address[4])).toBe(true);
    // As /etc/nftables.conf of Debian begins.
    for (const { gateway } of mesh.sites) await gateway.run(['nft', 'flush', 'ruleset']);
    const tables = async (): Promise<string> => a.gateway.run(['nft', 'list', 'tables']);
    await expect.poll(tables, { timeout: 20_000 }).toContain('/policy');
    await expect
      .poll(async () => b.gateway.run(['nft', 'list', 'tables']), { timeout: 20_000 })
      .toContain('/policy');
    expect(await isSilent(a.host, b.address[4])).toBe(true);
  });

  test('nothing passes while a gateway ends', { timeout: SECONDS }, async () => {
    await setPolicy(mesh, ONE_PORT);
    const received = async (): Promise<number> => {
      const text = await b.host.run(['cat', '/proc/net/snmp']);
      const [names, values] = text.split('\n').filter((line) => line.startsWith('Icmp:'));
      return Number(values!.split(' ')[names!.split(' ').indexOf('InEchos')]);
    };
    const deniedAtB = async (): Promise<number> => (await statusOf(b)).policy!.counters.denied;
    const [before, denied] = [await received(), await deniedAtB()];
    const program = pingsPastRules(a.address[4], b.address[4]);
    const ping = a.gateway.start(['python3', '-c', program]);
    // Gateway a lets everything out, as one in wrong hands would, until it looks again in a second.
    await a.gateway.run(['nft', 'delete', 'table', 'inet', 'causeway-causeway0/policy']);
    await expect.poll(deniedAtB, { timeout: 10_000 }).toBeGreaterThan(denied + 20);
    await b.down();
    expect(ping.running).toBe(true);
    await ping.stop('SIGKILL');
    expect((await received()) - before).toBe(0);
  });
});
