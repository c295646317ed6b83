/**
 * `connector doctor` at a gateway (lab/mesh-lab.ts) to which one thing after the other happens: what it
 * says, what `--fix` does, and that traffic flows again.
 */
import { readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { isShut, opens } from '../../lab/connect.ts';
import { CONNECTOR, EDGE, MeshLab, type Site } from '../../lab/mesh-lab.ts';
import { isSilent, reach } from '../../lab/ping.ts';
import { run } from '../../lab/process.ts';
import { ServiceClient, startService } from '../../lab/service.ts';
import { DIAGNOSIS_PORT } from '../../src/gateway/diagnosis/port.ts';
import type { Examined } from '../../src/gateway/doctor/examination.ts';
import { dumpPath } from '../unit/gateway/doctor/dumps.ts';
import { netnsSuite } from './suite.ts';

const SECONDS = 120_000;
const PORT = 7000;

interface Said extends Examined {
  readonly code: number;
  readonly fixed: readonly { readonly command: string; readonly undo: string }[];
}

async function doctor({ gateway, stateDirectory }: Site, ...options: string[]): Promise<Said> {
  const command = [CONNECTOR, 'doctor', '--json', '--state-dir', stateDirectory, ...options];
  const { code, stdout } = await gateway.attempt(command);
  return { code, ...(JSON.parse(stdout) as Omit<Said, 'code'>) };
}

/** Names of the checks that found something. */
function faults({ findings }: Said): string[] {
  const wrong = findings.filter(({ status }) => status === 'problem' || status === 'warning');
  return [...new Set(wrong.map(({ check }) => check))];
}

/** Without dates and counters. */
async function rulesOf({ gateway }: Site): Promise<string> {
  const text = await gateway.run(['iptables-nft-save', '-t', 'filter']);
  return text.replace(/^#.*\n/gm, '').replace(/\[\d+:\d+\]/g, '');
}

netnsSuite('doctor', ['nft', 'sysctl', 'iptables-nft-restore'], () => {
  test('what happens to a gateway is said, and repaired', { timeout: SECONDS }, async () => {
    await using mesh = await MeshLab.open({ name: 'a', number: 1 }, { name: 'b', number: 2 });
    const [a, b] = mesh.sites as [Site, Site];
    const { gateway } = a;
    await mesh.startEdge();
    const before = await doctor(a);
    expect(before).toMatchObject({ code: 1, connector: null, running: false });
    expect(faults(before)).toEqual(['identity', 'daemon']);

    // A disk of its own, to be filled.
    await run(['mkdir', '-p', a.stateDirectory]);
    await run(['mount', '-t', 'tmpfs', '-o', 'size=20m', 'tmpfs', a.stateDirectory]);
    try {
      // Nobody but this test touches the settings.
      await gateway.forward();
      const tokens = [await mesh.create(a), await mesh.create(b)] as const;
      await Promise.all([
        a.up('--token', tokens[0], '--no-forwarding'),
        b.up('--token', tokens[1]),
      ]);
      await reach(a.host, b.address[4]);
      const well = await doctor(a);
      expect([well.code, well.connector, faults(well)]).toEqual([0, 'a', []]);

      // Who may not ask hears that, and not that no gateway runs. The files of the checkout stay readable.
      const sockets = join(
        gateway.folder,
        'causeway',
        (await readdir(join(gateway.folder, 'causeway')))[0]!,
      );
      await run(['chown', '65534', sockets]);
      const powerless = ['setpriv', '--bounding-set', '-dac_override,-dac_read_search', CONNECTOR];
      for (const command of ['status', 'capture', 'down']) {
        const { code, stderr } = await gateway.attempt([...powerless, command]);
        expect([command, code, stderr]).toEqual([
          command,
          1,
          expect.stringMatching(/run.* as root.*\[PERMISSION\]/),
        ]);
      }
      const blind = await gateway.attempt([...powerless, 'doctor', '--json']);
      expect((JSON.parse(blind.stdout) as Said).running).toBe(null);
      await run(['chown', '0', sockets]);

      // A route of the host takes a part of the other site's prefix away.
      await gateway.ip('route add 10.2.0.0/25 via 192.168.1.1');
      const detour = await doctor(a);
      expect(detour.findings.filter(({ check }) => check === 'conflicts')).toMatchObject([
        { status: 'warning', says: expect.stringContaining('10.2.0.0/25') },
      ]);
      expect(await isSilent(a.host, b.address[4])).toBe(true);
      const [cure] = detour.findings.find(({ check }) => check === 'conflicts')!.remedy;
      await gateway.run(cure!.split(' '));
      await reach(a.host, b.address[4]);

      // Docker came, and somebody switched forwarding off.
      await gateway.run(['iptables-nft-restore', dumpPath('docker.iptables-save')]);
      await gateway.sysctl({ 'net.ipv4.ip_forward': 0 });
      const ill = await doctor(a);
      expect(ill.code).toBe(1);
      expect(faults(ill)).toEqual(['forwarding', 'firewall']);
      expect(await isSilent(a.host, b.address[4])).toBe(true);
      const text = (await gateway.attempt([CONNECTOR, 'doctor'])).stdout;
      expect(text).toContain('FORWARD of iptables');
      const long = text.split('\n').filter((line) => line.length > 80 && !/ # /.test(line));
      expect(long).toEqual([]);
      const rules = await rulesOf(a);
      const cured = await doctor(a, '--fix');
      expect([cured.code, faults(cured)]).toEqual([0, []]);
      await reach(a.host, b.address[4]);
      await reach(b.host, a.address[4]);
      for (const { undo } of cured.fixed.toReversed()) await gateway.run(undo.split(' '));
      expect(await rulesOf(a)).toBe(rules);
      expect(await gateway.run(['sysctl', '-n', 'net.ipv4.ip_forward'])).toBe('0\n');
      await gateway.forward();
      await gateway.run(['nft', 'delete', 'table', 'ip', 'filter']);

      // A firewall for the host itself: new connections to the API and other gateways' questions.
      await gateway.nft(`table inet host {
        chain input {
          type filter hook input priority 0; policy drop;
          ct state established,related accept
          tcp dport 22 accept
        }
        chain output {
          type filter hook output priority 0; policy drop;
          ct state established,related accept
          meta l4proto { udp, icmp, icmpv6 } accept
        }
      }`);
      const shut = await doctor(a);
      const own = shut.findings.filter(({ check }) => check === 'firewall-own');
      expect([shut.code, faults(shut), own.map(({ status }) => status)]).toEqual([
        1,
        ['firewall-own'],
        ['warning', 'problem'],
      ]);
      const { mesh: ips } = await a.status();
      const ways: readonly Parameters<typeof opens>[] = [
        [gateway, EDGE[4], 8_443],
        [b.gateway, ips!.ipv4, DIAGNOSIS_PORT],
      ];
      for (const way of ways) expect(await isShut(...way)).toBe(true);
      for (const command of own.flatMap(({ remedy }) => remedy)) {
        await gateway.run(command.split(' '));
      }
      expect(faults(await doctor(a))).toEqual([]);
      for (const way of ways) expect(await opens(...way)).toBe(true);
      await gateway.nft('delete table inet host');

      // A rule of the host for its own bridge catches the site's hosts too: their addresses are lost.
      await startService(b.host, PORT);
      const client = new ServiceClient(a.host, b.address[4], PORT);
      expect((await client.who('tcp')).from).toBe(a.address[4]);
      const masquerade = '-s 10.1.0.0/24 ! -o docker0 -j MASQUERADE';
      await gateway.run(`iptables -t nat -A POSTROUTING ${masquerade}`.split(' '));
      expect((await client.who('tcp')).from).toBe((await a.status()).mesh?.ipv4);
      const hidden = await doctor(a);
      expect([hidden.code, faults(hidden)]).toEqual([0, ['nat']]);
      const lost = hidden.findings.find(({ check }) => check === 'nat')!;
      expect(lost.says).toContain(`\`-A POSTROUTING ${masquerade}\``);
      await gateway.run(['sh', '-c', lost.remedy.join('\n')]);
      expect((await client.who('tcp')).from).toBe(a.address[4]);
      expect(faults(await doctor(a))).toEqual([]);
      await gateway.run(['nft', 'delete', 'table', 'ip', 'nat']);

      // The LAN's interface goes down: its subnet is nowhere, and the address tells where it was.
      await gateway.ip('link set lan0 down');
      const cut = await doctor(a);
      expect(faults(cut)).toContain('lan');
      expect(cut.findings.find(({ check }) => check === 'lan')).toMatchObject({
        status: 'problem',
        says: expect.stringContaining('lan0 is down'),
        remedy: ['ip link set dev lan0 up'],
      });
      await gateway.ip('link set lan0 up', 'address replace fd01::1/64 dev lan0 nodad');

      // The disk is full when the edge sends something: it is in force, and not on the disk.
      const filler = join(a.stateDirectory, 'filler');
      await writeFile(filler, new Uint8Array(32 << 20)).catch(() => {});
      await mesh.connector('routes', 'add', '10.9.0.0/16', '--connector', 'b');
      for (;;) {
        const { routes, problems } = await a.status();
        if (!routes.some(({ prefix }) => prefix === '10.9.0.0/16')) continue;
        expect(problems.join()).toMatch(/state cannot be written \(.*: traffic flows/);
        break;
      }
      expect(faults(await doctor(a))).toContain('state');
      await rm(filler);

      process.kill((await a.status()).pid, 'SIGKILL');
      await mesh.edgeProcess.stop('SIGTERM');
      await gateway.nft(`table inet host {
        chain output { type filter hook output priority 0; policy drop; }
      }`);
      let killed = await doctor(a);
      while (killed.running) killed = await doctor(a);
      expect(faults(killed)).toEqual(expect.arrayContaining(['daemon', 'api']));
      expect(killed.findings.find(({ check }) => check === 'daemon')?.says).toContain('was killed');
      // Where the edge is, its files say.
      expect(killed.findings.filter(({ check }) => check === 'firewall-own')).toMatchObject([
        {
          status: 'problem',
          says: expect.stringContaining(`(TCP to ${EDGE[4]}:8443)`),
          remedy: expect.arrayContaining([
            `nft insert rule inet host output ip daddr ${EDGE[4]} udp dport 51820 accept`,
            `nft insert rule inet host output ip daddr ${EDGE[4]} tcp dport 8443 accept`,
          ]),
        },
      ]);
    } finally {
      await run(['umount', '-l', a.stateDirectory]);
    }
  });
});
