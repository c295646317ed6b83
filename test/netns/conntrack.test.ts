/**
 * Our reading of the kernel's connection table against `conntrack`, in one namespace: the whole table,
 * and what is said when more ends come than the kernel keeps for us.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Lab } from '../../lab/lab.ts';
import { netnsSuite } from './suite.ts';

const PROBE = join(import.meta.dirname, 'conntrack-probe.ts');
const PORTS = 2_000;

/** A line of `conntrack -L` in the words of the probe. */
function told(line: string): string {
  const [source] = [...line.matchAll(/ src=([^ ]+)/g)].map((match) => match[1]!);
  const [from, answers] = [...line.matchAll(/ sport=(\d+)/g)].map((match) => match[1]!);
  const [destination] = [...line.matchAll(/ dst=([^ ]+)/g)].map((match) => match[1]!);
  const answering = [...line.matchAll(/ src=([^ ]+)/g)][1]![1]!;
  const port = / dport=(\d+)/.exec(line)![1]!;
  const protocol = /^\w+ +(\d+) /.exec(line)![1]!;
  const state = line.includes('[UNREPLIED]') ? 'silent' : 'answered';
  return `${protocol} ${source}:${from} ${destination}:${port} ${answering}:${answers} ${state}`;
}

netnsSuite('conntrack', ['nft', 'conntrack', 'ncat'], () => {
  test('all connections as conntrack lists them; too many ends are said as lost', {
    timeout: 60_000,
  }, async () => {
    await using lab = new Lab();
    const host = await lab.namespace('host');
    await host.nft(`
      table inet t {
        chain tracked {
          ct state new
        }
        chain output {
          type nat hook output priority -100
          ip daddr 10.9.9.9 dnat ip to 127.0.0.1
        }
      }`);
    await host.ip('address add 10.9.9.1/32 dev lo', 'route add 10.9.9.9/32 dev lo');
    const server = host.start(['ncat', '-lk', '127.0.0.1', '7777']);
    const file = join(host.folder, 'listed');
    const probe = host.start([process.execPath, PROBE, file]);
    await probe.line(/ready/);
    const send = `for p in $(seq 1 ${PORTS}); do echo x > /dev/udp/127.0.0.1/$p; done; echo y > /dev/udp/::1/5`;
    await host.run(['bash', '-c', `${send}; exec 3<>/dev/tcp/10.9.9.9/7777`]);
    const listed = [
      ...(await host.run(['conntrack', '-L', '-f', 'ipv4'])).trim().split('\n'),
      ...(await host.run(['conntrack', '-L', '-f', 'ipv6'])).trim().split('\n'),
    ];
    expect(listed.length).toBeGreaterThan(PORTS);
    probe.write('\n');
    const flushed = JSON.parse((await probe.line(/flushed (.*)/, 20))[1]!);
    expect(readFileSync(file, 'utf8').split('\n').sort()).toEqual(listed.map(told).sort());
    expect(flushed.ends).toBeLessThan(PORTS);
    // It goes on after the loss.
    await host.run(['bash', '-c', 'echo z > /dev/udp/127.0.0.1/9; conntrack -F']);
    await probe.line(/heard again/);
    expect(await probe.exited).toBe(0);
    await server.stop();
  });
});
