/**
 * Captures as Wireshark reads them, and metrics and alert rules as Prometheus does (lab/mesh-lab.ts).
 *
 *   host a ── gateway a ── nat ── internet ── nat ── gateway b ── host b
 *   10.1.0.10                        │                          10.2.0.10
 *                                  edge
 */
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { programPath } from '../../lab/implementation.ts';
import { CONNECTOR, MeshLab, type Site } from '../../lab/mesh-lab.ts';
import { reach } from '../../lab/ping.ts';
import { ServiceClient, startService } from '../../lab/service.ts';
import { netnsSuite } from '../netns/suite.ts';

const ROOT = join(import.meta.dirname, '../..');
const PORT = 7;
const METRICS = '127.0.0.1:9780';

let mesh: MeshLab;
let a: Site;
let b: Site;

async function open(): Promise<void> {
  mesh = await MeshLab.open({ name: 'a', number: 1 }, { name: 'b', number: 2 });
  [a, b] = mesh.sites as [Site, Site];
  await mesh.startEdge();
  await startService(b.host, PORT);
  const [tokenA, tokenB] = [await mesh.create(a), await mesh.create(b)];
  await Promise.all([a.up('--token', tokenA, '--metrics', METRICS), b.up('--token', tokenB)]);
  await reach(a.host, b.address[4]);
}

netnsSuite('captures in Wireshark', ['nft', 'tshark'], () => {
  beforeAll(open);
  afterAll(() => mesh?.[Symbol.asyncDispose]());

  /** Fields of each packet, as Wireshark names them. */
  async function fields(file: string, ...names: string[]): Promise<string[][]> {
    const wanted = names.flatMap((name) => ['-e', name]);
    const command = ['tshark', '-r', file, '-T', 'fields', ...wanted];
    const text = await a.gateway.run(command, { seconds: 120 });
    return text
      .trimEnd()
      .split('\n')
      .map((line) => line.split('\t'));
  }

  test('comments, directions, interface and protocols', async () => {
    const file = join(a.gateway.folder, 'a.pcapng');
    // The kernel has things of its own to say on a new interface (multicast listeners, RFC 3810).
    const filter = `host ${a.address[4]} or host ${a.address[6]}`;
    const running = a.gateway.start([CONNECTOR, 'capture', '--filter', filter, '--write', file]);
    await running.line(/^capturing/, 20);
    await a.host.run(['ping', '-n', '-c', '2', '-i', '0.1', b.address[6]]);
    await new ServiceClient(a.host, b.address[4], PORT).echo(200_000);
    await running.stop('SIGINT');
    const packets = await fields(
      file,
      ...['frame.comment', 'frame.packet_flags_direction', 'frame.interface_name'],
      ...[
        'ip.src',
        'ipv6.src',
        'tcp.port',
        'icmpv6.type',
        'frame.time_epoch',
        '_ws.expert.severity',
      ],
    );
    const isFrom = ([, , , ipv4, ipv6]: string[], site: Site): boolean =>
      ipv4 === site.address[4] || ipv6 === site.address[6];
    expect(packets.length).toBeGreaterThan(100);
    for (const packet of packets) {
      const [comment, direction, interfaceName] = packet;
      const isOut = isFrom(packet, a);
      expect(isOut || isFrom(packet, b)).toBe(true);
      expect(comment).toBe(
        `direction=${isOut ? 'out' : 'in'} peer=b path=${/path=(\w+)/.exec(comment!)![1]} verdict=accepted`,
      );
      expect(Number(direction)).toBe(isOut ? 2 : 1);
      expect(interfaceName).toBe('causeway0');
    }
    expect(packets.filter((packet) => packet[6] === '128')).toHaveLength(2);
    expect(packets.filter((packet) => packet[6] === '129')).toHaveLength(2);
    // Wireshark finds nothing that it would call an error.
    const EXPERT_ERROR = 8_388_608;
    expect(packets.filter((packet) => Number(packet[8] ?? 0) >= EXPERT_ERROR)).toEqual([]);
  });

  test('under load every packet is in the file, or counted as lost', async () => {
    const file = join(b.gateway.folder, 'load.pcapng');
    const command = [CONNECTOR, 'capture', '--write', file, '--snaplen', '96', '--filter', 'tcp'];
    const running = b.gateway.start(command);
    await running.line(/^capturing/, 20);
    const { mbits } = await new ServiceClient(a.host, b.address[4], PORT).bulk(200_000_000);
    expect(mbits).toBeGreaterThan(1);
    const said = running.line(/^(\d+) packets in [^;]*(?:; (\d+) lost)?/, 60);
    await running.stop('SIGINT', 60);
    const [, written, lost = '0'] = await said;
    const packets = await fields(file, 'frame.cap_len', 'frame.len', 'tcp.len');
    expect(packets).toHaveLength(Number(written));
    expect(packets.every(([captured]) => Number(captured) <= 96)).toBe(true);
    const payload = packets.reduce((sum, [, , length]) => sum + Number(length), 0);
    if (Number(lost) === 0) expect(payload).toBeGreaterThanOrEqual(200_000_000);
  });
});

netnsSuite('metrics and rules in Prometheus', ['nft', 'promtool'], () => {
  beforeAll(open);
  afterAll(() => mesh?.[Symbol.asyncDispose]());

  test('promtool finds nothing to say of them', async () => {
    const promtool = programPath('promtool')!;
    const fetch = `fetch('http://${METRICS}/metrics').then(r => r.text()).then(t => process.stdout.write(t))`;
    const input = await a.gateway.run([process.execPath, '-e', fetch]);
    const metrics = await a.gateway.attempt([promtool, 'check', 'metrics'], { input });
    expect([metrics.code, metrics.stdout + metrics.stderr]).toEqual([0, '']);
    const rules = join(ROOT, 'packaging/prometheus/alerts.yml');
    expect(await a.gateway.run([promtool, 'check', 'rules', rules])).toMatch(/SUCCESS: \d\d rules/);
  });
});
