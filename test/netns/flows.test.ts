/**
 * The flow log and the one-way detector on real packets, against what Debian's `conntrack` says of the
 * same connections. Gateway a writes its log to a disk of 128 KiB, and translates 10.99.0.1 to host b.
 *
 *   host a ── gateway a ── nat ── internet ── nat ── gateway b ── host b
 *   10.1.0.10                        │                          10.2.0.10, .11
 *   fd01::10                       edge                         fd02::10
 */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { CONNECTOR, MeshLab, type Site } from '../../lab/mesh-lab.ts';
import { reach } from '../../lab/ping.ts';
import { ServiceClient, startService } from '../../lab/service.ts';
import type { FlowEntry, GapEntry } from '../../src/gateway/flows/flow-entry.ts';
import type { MeshStatus } from '../../src/gateway/mesh/mesh-status.ts';
import { networkState } from './network-state.ts';
import { netnsSuite } from './suite.ts';

const PORT = 7;
const LOG = '/mnt/flows.jsonl';
const TRANSLATED = '10.99.0.1';

type Line = FlowEntry | GapEntry;

async function eventually<T>(find: () => Promise<T | undefined>, what: string): Promise<T> {
  const deadline = Date.now() + 30_000;
  for (;;) {
    const found = await find();
    if (found !== undefined) return found;
    if (Date.now() > deadline) throw new Error(`not within 30 s: ${what}`);
    await delay(50);
  }
}

async function statusOf(site: Site): Promise<MeshStatus> {
  return (await site.status()) as unknown as MeshStatus;
}

/** A gateway whose log is on a disk of its own, which its process alone sees. */
class LoggedGateway {
  readonly #root: string;

  private constructor(pid: number) {
    this.#root = `/proc/${pid}/root`;
  }

  static async up(site: Site, token: string): Promise<LoggedGateway> {
    const options = `--state-dir ${site.stateDirectory} --token ${token} --flow-log ${LOG}`;
    const command = `mount -t tmpfs -o size=128k none /mnt && exec ${CONNECTOR} up ${options}`;
    await site.gateway.run(['sh', '-c', command]);
    return new LoggedGateway((await statusOf(site)).pid);
  }

  lines(): Line[] {
    const text = readFileSync(`${this.#root}${LOG}`, 'utf8');
    return text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Line);
  }

  /** Leaves no byte on the disk. */
  fill(): void {
    try {
      writeFileSync(`${this.#root}/mnt/filler`, Buffer.alloc(1 << 20));
    } catch (error) {
      expect((error as NodeJS.ErrnoException).code).toBe('ENOSPC');
    }
  }

  empty(): void {
    rmSync(`${this.#root}/mnt/filler`);
  }

  flows(): FlowEntry[] {
    return this.lines().filter((line) => line.event !== 'gap');
  }
}

/** What `conntrack -E -e DESTROY` prints of a connection, in the words of our log. */
function told(line: string): Partial<FlowEntry> {
  const all = (name: string): string[] =>
    [...line.matchAll(new RegExp(` ${name}=([^ ]+)`, 'g'))].map((match) => match[1]!);
  const [source, answersTo] = all('src');
  const [destination] = all('dst');
  const [sourcePort, answersPort] = all('sport').map(Number);
  const [destinationPort] = all('dport').map(Number);
  const [sent, received] = all('packets').map((packets, i) => {
    return { packets: Number(packets), bytes: Number(all('bytes')[i]) };
  });
  const protocol = /\] +(?:ipv[46] +\d+ +)?(\w+)/.exec(line)![1]!.replace('icmpv6', 'icmp');
  const translated =
    answersTo === destination
      ? null
      : {
          source: { address: all('dst')[1]!, port: all('dport').map(Number)[1] ?? null },
          destination: { address: answersTo!, port: answersPort ?? null },
        };
  return {
    protocol,
    source: { address: source!, port: sourcePort ?? null },
    destination: { address: destination!, port: destinationPort ?? null },
    ...{ sent: sent!, received: received!, translated },
    answered: (received?.packets ?? 0) > 0,
  };
}

/** Connections of host a: TCP, UDP and ICMP to three addresses, more bytes, and one that is refused. */
const CONNECTIONS = 11;
const MINE = /src=(10\.1\.0\.10|fd01::10) /;

netnsSuite('flows', ['nft', 'conntrack', 'ncat'], () => {
  test('each connection with its true source, as conntrack has it', {
    timeout: 120_000,
  }, async () => {
    await using mesh = await MeshLab.open({ name: 'a', number: 1 }, { name: 'b', number: 2 });
    await mesh.startEdge();
    const [a, b] = mesh.sites as [Site, Site];
    await b.host.ip('address add 10.2.0.11/24 dev eth0');
    await startService(b.host, PORT);
    await a.gateway.nft(`
      table ip translated {
        chain prerouting {
          type nat hook prerouting priority dstnat
          ip daddr ${TRANSLATED} dnat to ${b.address[4]}
        }
      }`);
    const before = await networkState(a.gateway);
    const token = await mesh.create(a);
    const [log] = await Promise.all([
      LoggedGateway.up(a, token),
      mesh.create(b).then((joinToken) => b.up('--token', joinToken)),
    ]);
    await reach(a.host, b.address[4], 20);
    await eventually(async () => (await statusOf(a)).flows.log ?? undefined, 'a flow log');

    const events = a.gateway.start(['stdbuf', '-oL', 'conntrack', '-E', '-e', 'DESTROY']);
    await a.gateway.run(['conntrack', '-F']);
    for (const address of [b.address[4], b.address[6], TRANSLATED]) {
      const client = new ServiceClient(a.host, address, PORT);
      expect((await client.who('tcp')).from).toBe(a.address[address.includes(':') ? 6 : 4]);
      await client.datagrams(64, 512);
      await reach(a.host, address);
    }
    await new ServiceClient(a.host, b.address[4], PORT).echo(100_000);
    // Nobody listens there: refused, which is an answer.
    await a.host.attempt(['ncat', '-w', '1', b.address[4], '9']);
    await a.gateway.run(['conntrack', '-F']);
    const seen = await eventually(async () => {
      const mine = events.lines.filter((line) => MINE.test(line));
      return mine.length >= CONNECTIONS ? mine.map(told) : undefined;
    }, 'ends of all connections');
    const logged = await eventually(async () => {
      const ended = log.flows().filter(({ event, source }) => {
        return event === 'end' && Object.values(a.address).includes(source.address);
      });
      return ended.length >= seen.length ? ended : undefined;
    }, 'lines of all');
    for (const one of seen) expect(logged).toContainEqual(expect.objectContaining(one));
    for (const flow of logged.filter(({ start }) => start !== null)) {
      expect(flow.connectors.source).toBe('a');
      expect(Date.parse(flow.end!) - Date.parse(flow.start!)).toBeLessThan(60_000);
    }
    await events.stop();

    await a.down();
    expect(await networkState(a.gateway)).toBe(before);
  });
});
