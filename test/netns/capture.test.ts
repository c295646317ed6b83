/**
 * A gateway looked into while it works: decrypted packets captured and read back by tcpdump, its metrics
 * against its status, and a report without its secrets (lab/mesh-lab.ts).
 *
 *   host a ── gateway a ── nat ── internet ── nat ── gateway b ── host b
 *   10.1.0.10     │                  │                            10.2.0.10
 *          capture, metrics        edge
 */
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CONNECTOR, MeshLab, type Site } from '../../lab/mesh-lab.ts';
import { type PcapngFile, readPcapng } from '../../lab/pcapng-reader.ts';
import { reach } from '../../lab/ping.ts';
import type { Process } from '../../lab/process.ts';
import type { MeshStatus } from '../../src/gateway/mesh/mesh-status.ts';
import { readExposition } from '../unit/gateway/metrics/exposition.ts';
import { netnsSuite } from './suite.ts';

const METRICS = '127.0.0.1:9780';

netnsSuite('capture and metrics', ['nft', 'tcpdump'], () => {
  let mesh: MeshLab;
  let a: Site;
  let b: Site;

  beforeAll(async () => {
    mesh = await MeshLab.open({ name: 'a', number: 1 }, { name: 'b', number: 2 });
    [a, b] = mesh.sites as [Site, Site];
    await mesh.startEdge();
    const [tokenA, tokenB] = [await mesh.create(a), await mesh.create(b)];
    await Promise.all([
      a.up('--token', tokenA, '--metrics', METRICS),
      b.up('--token', tokenB, '--metrics', METRICS),
    ]);
    await reach(a.host, b.address[4]);
  });
  afterAll(() => mesh?.[Symbol.asyncDispose]());

  async function capture(site: Site, ...options: string[]): Promise<Process> {
    const process = site.gateway.start([CONNECTOR, 'capture', ...options]);
    await process.line(/^capturing on causeway0/, 20);
    return process;
  }

  /** What tcpdump makes of a file, a packet a line. */
  async function dumped(site: Site, file: string): Promise<string[]> {
    const text = await site.gateway.run(['tcpdump', '-nn', '-r', file]);
    return text.trimEnd().split('\n');
  }

  function read(file: string): PcapngFile {
    expect(statSync(file).mode & 0o777).toBe(0o600);
    return readPcapng(readFileSync(file));
  }

  test('packets both ways, with peer, path and verdict', async () => {
    const file = a.gateway.file('old.pcapng', 'what was there before');
    const filter = 'icmp or icmp6';
    const running = await capture(a, '--write', file, '--filter', filter);
    await a.host.run(['ping', '-n', '-i', '0.01', '-c', '3', b.address[4]]);
    await a.host.run(['ping', '-n', '-i', '0.01', '-c', '2', '-s', '1000', b.address[6]]);
    await a.host.attempt(['bash', '-c', `exec 3<>/dev/tcp/${b.address[4]}/9`]);
    const end = running.line(/^10 packets in /, 20);
    await running.stop('SIGINT');
    await end;

    const lines = await dumped(a, file);
    expect(lines.filter((line) => /IP .* ICMP echo request/.test(line))).toHaveLength(3);
    expect(lines.filter((line) => /IP .* ICMP echo reply/.test(line))).toHaveLength(3);
    expect(lines.filter((line) => /IP6 .* ICMP6, echo request/.test(line))).toHaveLength(2);
    expect(lines.filter((line) => /IP6 .* ICMP6, echo reply/.test(line))).toHaveLength(2);
    const { packets, ...about } = read(file);
    expect(about).toMatchObject({
      ...{ interfaceName: 'causeway0', linkType: 101, filter, received: 10, dropped: 0 },
    });
    for (const [i, { direction, comment, length, bytes, nanoseconds }] of packets.entries()) {
      expect(direction).toBe(lines[i]!.includes('request') ? 'out' : 'in');
      expect(comment).toBe(`direction=${direction} peer=b path=relayed verdict=accepted`);
      expect(bytes.length).toBe(length);
      expect(Math.abs(Number(nanoseconds / 1_000_000n) - Date.now())).toBeLessThan(60_000);
    }
  });

  test('what is dropped says why, at the end where it is dropped', async () => {
    const [sent, received] = [join(a.gateway.folder, 's'), join(b.gateway.folder, 'r')];
    const [atA, atB] = await Promise.all([
      capture(a, '--write', sent, '--snaplen', '64'),
      capture(b, '--write', received, '--peer', 'a', '--filter', 'src net 10.66.0.0/16'),
    ]);
    // A source that is no prefix of site a, then a destination of nobody.
    await a.gateway.ip('address add 10.66.0.1/32 dev lo');
    await a.gateway.attempt([
      'ping',
      '-n',
      '-c',
      '1',
      '-W',
      '0.2',
      '-I',
      '10.66.0.1',
      b.address[4],
    ]);
    await a.gateway.ip('route add 10.77.0.0/24 dev causeway0');
    await a.gateway.attempt(['ping', '-n', '-c', '1', '-W', '0.2', '-s', '500', '10.77.0.9']);
    await Promise.all([atA.stop('SIGINT'), atB.stop('SIGINT')]);
    await a.gateway.ip('address del 10.66.0.1/32 dev lo', 'route del 10.77.0.0/24');

    const comments = read(sent).packets.map(({ comment }) => comment);
    expect(comments).toEqual([
      'direction=out peer=b path=relayed verdict=accepted',
      'direction=out peer=- path=- verdict=dropped reason=out_no_route (destination is in no allowed IPs)',
    ]);
    expect(read(sent).packets[1]).toMatchObject({ length: 528, bytes: { length: 64 } });
    expect(read(received).packets).toMatchObject([
      {
        direction: 'in',
        comment: expect.stringMatching(
          /^direction=in peer=a path=relayed verdict=dropped reason=in_source_not_allowed \(/,
        ),
      },
    ]);
    expect(await dumped(b, received)).toEqual([
      expect.stringContaining('IP 10.66.0.1 > 10.2.0.10'),
    ]);
  });

  test('lines for people, objects for programs, a pipe for tcpdump', async () => {
    const pinging = a.host.start(['ping', '-n', '-i', '0.05', b.address[4]]);
    const shown = await a.gateway.run([CONNECTOR, 'capture', '-c', '4', '--peer', 'b']);
    const json = await a.gateway.run([CONNECTOR, 'capture', '-c', '2', '--json']);
    const pipe = `${CONNECTOR} capture -c 3 --write - --filter 'icmp and src host ${b.address[4]}' | tcpdump -nn -r -`;
    const piped = await a.gateway.run(['sh', '-c', pipe]);
    await pinging.stop('SIGINT');
    const lines = shown.trimEnd().split('\n');
    expect(lines).toHaveLength(4);
    for (const line of lines) {
      expect(line).toMatch(
        /^\d\d:\d\d:\d\d\.\d{6} (in |out) b {2}IP 10\.[\d.]+ > 10\.[\d.]+: icmp echo/,
      );
    }
    const [first] = json
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(first).toMatchObject({ peer: 'b', path: 'relayed', verdict: 'accepted', length: 84 });
    expect(piped.trimEnd().split('\n')).toEqual(
      Array(3).fill(
        expect.stringContaining(`IP ${b.address[4]} > ${a.address[4]}: ICMP echo reply`),
      ),
    );
  });

  test('one at a time; a mistake says where it is; a client that dies ends its capture', async () => {
    const first = await capture(a, '--filter', 'port 1');
    const attempt = (...options: string[]) => a.gateway.attempt([CONNECTOR, 'capture', ...options]);
    const second = await attempt();
    expect([second.code, second.stderr]).toEqual([1, expect.stringContaining('[LIMIT_REACHED]')]);
    const wrong = await attempt('--filter', 'tcp prt 80');
    expect(wrong.stderr).toContain('wrong at character 5: "prt"');
    expect(wrong.stderr).toMatch(/\n {2}tcp prt 80\n {6}\^/);
    expect((await attempt('--peer', 'nobody')).stderr).toMatch(/\(.*b.*\)\. \[NOT_FOUND\]/);
    const both = await attempt('--json', '--write', 'x');
    expect([both.code, both.stderr]).toEqual([1, expect.stringContaining('[USAGE]')]);
    await first.stop('SIGKILL');
    const link = await attempt('--write', '/proc/self/exe', '--duration', '1');
    expect(link.stderr).toContain('[FILE_ACCESS]');
    const pinging = a.host.start(['ping', '-n', '-i', '0.1', b.address[4]]);
    const full = await attempt('--write', '/dev/full');
    await pinging.stop('SIGINT');
    expect([full.code, full.stderr]).toEqual([1, expect.stringMatching(/ENOSPC.*\[FILE_ACCESS\]/)]);
    const after = await attempt('--duration', '1', '--filter', 'port 1');
    expect([after.code, after.stdout]).toEqual([0, '']);
  });

  test('metrics say what the status says', async () => {
    const fetch = `fetch('http://${METRICS}/metrics').then(r => r.text()).then(t => process.stdout.write(t))`;
    const [before, text, after] = [
      (await a.status()) as unknown as MeshStatus,
      await a.gateway.run([process.execPath, '-e', fetch]),
      (await a.status()) as unknown as MeshStatus,
    ];
    const metrics = readExposition(text);
    const value = (name: string, labels = {}): number => {
      const found = metrics.value(`causeway_gateway_${name}`, labels);
      if (found === undefined) throw new Error(`no ${name} ${JSON.stringify(labels)}`);
      return found;
    };
    expect(value('netmap_revision')).toBe(after.netmap!.revision);
    expect(value('health', { state: 'HEALTHY' })).toBe(1);
    expect(value('stream', { state: 'open' })).toBe(1);
    expect(value('problems')).toBe(after.problems.length);
    expect(value('routes', { state: 'in force' })).toBe(
      after.routes.filter(({ state }) => state === 'in force').length,
    );
    for (const { prefix, connector, state } of after.routes) {
      expect(value('route', { prefix, connector, state })).toBe(1);
    }
    for (const [i, { connector, replica, lastHandshake, path }] of after.peers.entries()) {
      const labels = { connector, replica };
      const received = value('peer_receive_bytes_total', labels);
      expect(received).toBeGreaterThanOrEqual(before.peers[i]!.rxBytes);
      expect(received).toBeLessThanOrEqual(after.peers[i]!.rxBytes);
      expect(value('peer_last_handshake_seconds', labels)).toBe(Date.parse(lastHandshake!) / 1_000);
      expect(value('peer_path', { ...labels, path: path.kind })).toBe(1);
    }
    for (const { reason, packets } of before.drops) {
      expect(value('drops_total', { reason })).toBeGreaterThanOrEqual(packets);
    }
    expect(value('drops_total', { reason: 'out_no_route' })).toBeGreaterThan(0);
    const rss = Number(
      /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${after.pid}/status`, 'utf8'))![1],
    );
    const shown = metrics.value('process_resident_memory_bytes')! / 1_024;
    expect(Math.abs(shown - rss) / rss).toBeLessThan(0.3);
  });

  /** The files of a report by their names, and what the command said. */
  async function report(
    site: Site,
    environment: Readonly<Record<string, string>>,
    ...options: string[]
  ) {
    const archive = join(site.gateway.folder, 'report.tar.gz');
    const command = [
      CONNECTOR,
      'bugreport',
      '--output',
      archive,
      '--state-dir',
      site.stateDirectory,
    ];
    const said = await site.gateway.run([...command, ...options], { environment });
    expect(statSync(archive).mode & 0o777).toBe(0o600);
    expect(statSync(archive).size).toBeLessThan(2 << 20);
    const folder = join(site.gateway.folder, 'report');
    mkdirSync(folder, { recursive: true });
    await site.gateway.run(['tar', '-xzf', archive, '-C', folder]);
    const names = readdirSync(folder, { recursive: true, encoding: 'utf8' });
    const files = new Map<string, string>();
    for (const name of names) {
      const path = join(folder, name);
      if (statSync(path).isFile()) {
        files.set(name.replace('causeway-bugreport/', ''), readFileSync(path, 'utf8'));
      }
    }
    return { said, files };
  }

  test('a report has what is needed, and none of the secrets that lie everywhere', async () => {
    const state = (name: string): string => readFileSync(join(a.stateDirectory, name), 'utf8');
    const key = state('private-key').trim();
    const { credential } = JSON.parse(state('identity.json')) as { credential: string };
    const token = await mesh.create({ ...a, name: 'c', prefixes: [] } as unknown as Site);
    const api = `cwt_${'Q'.repeat(43)}`;
    const pem = 'MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg';
    const password = 'correct-horse-battery';
    const configuration = a.gateway.file(
      'connector.toml',
      `token = "${token}"\n# https://admin:${password}@proxy.example\nlog-level = "info"\n`,
    );
    // A unit and a log as systemd would show them.
    const tools = join(a.gateway.folder, 'tools');
    mkdirSync(tools);
    const unit = `Environment=CAUSEWAY_TOKEN=${api} "KEY=${key}"`;
    const log = `{"msg":"sent ${credential} to https://admin:${password}@edge"}\n-----BEGIN PRIVATE KEY-----\n${pem}\n-----END PRIVATE KEY-----`;
    for (const [tool, text] of [
      ['systemctl', unit],
      ['journalctl', log],
    ] as const) {
      writeFileSync(join(tools, tool), `#!/bin/sh\ncat <<'END'\n${text}\nEND\n`, { mode: 0o755 });
    }
    await a.gateway.nft(`
      table inet causeway-of-another {
        chain c {
          counter comment "${key}"
        }
      }
      table inet others {
        chain c {
          comment "${password}"
          type filter hook forward priority 5
        }
      }`);
    const environment = { PATH: `${tools}:${process.env.PATH}`, OTHER_TOKEN: password };
    const { said, files } = await report(a, environment, '--config', configuration);
    await a.gateway.nft('delete table inet others; delete table inet causeway-of-another');

    const all = [...files.values()].join('\n');
    const secrets = { key, credential, token, api, pem, password };
    const hex = Buffer.from(key, 'base64').toString('hex');
    const forms = { ...secrets, hex, url: Buffer.from(key, 'base64').toString('base64url') };
    for (const [what, secret] of Object.entries(forms))
      expect(all.includes(secret), what).toBe(false);
    // All of what is there is there.
    expect(files.get('mesh/status.txt')).toMatch(/connector: +a in default/);
    expect(JSON.parse(files.get('mesh/status.json')!.replace(/^\$.*\n/, ''))).toMatchObject([
      { interface: 'causeway0', peers: [{ connector: 'b' }] },
    ]);
    expect(files.get('mesh/routes.txt')).toContain('10.2.0.0/24');
    expect(files.get('mesh/doctor.txt')).toContain('forwarding');
    expect(files.get('mesh/connector.toml')).toContain('log-level = "info"');
    expect(files.get('mesh/netmap.json')).toContain('"revision"');
    expect(files.get('network/routes4.txt')).toContain('10.2.0.0/24 dev causeway0');
    expect(files.get('network/rules4.txt')).toContain('fwmark');
    expect(files.get('network/sysctl.txt')).toContain('net.ipv4.ip_forward = 1');
    expect(files.get('firewall/own-tables.txt')).toMatch(/comment "\[private key removed\]"/);
    expect(files.get('firewall/chains.txt')).toContain('table inet others');
    expect(files.get('service/causeway-gateway/unit.txt')).toContain(
      'Environment=CAUSEWAY_TOKEN=[',
    );
    expect(files.get('service/causeway-gateway/log.txt')).toContain('[credential removed]');
    expect(files.get('README.txt')).toMatch(/join token: [1-9]/);
    expect(said).toContain('Look through it before you give it away');
  });

  test('the file of a gateway that ends is whole; a report is made without it', async () => {
    const file = join(b.gateway.folder, 'end.pcapng');
    const running = await capture(b, '--write', file, '--filter', 'icmp');
    await a.host.run(['ping', '-n', '-c', '1', b.address[4]]);
    const end = running.line(/the daemon has ended/, 20);
    await b.down();
    await end;
    expect(await running.exited).toBe(0);
    expect(await dumped(b, file)).toHaveLength(2);
    const { files } = await report(b, {});
    expect(files.get('mesh/status.txt')).toMatch(/exit code 1[\s\S]*No gateway runs/);
    expect(files.get('mesh/netmap.json')).toContain('"revision"');
    expect(files.get('network/addresses.txt')).toContain('192.168.2.2/24');
  });
});
