/**
 * The flow log and the one-way detector on real packets, against what Debian's `conntrack` says of the
 * same connections. Gateway a writes its log to a disk of 128 KiB, and translates 10.99.0.1 to host b.
 *
 *   host a ── gateway a ── nat ── internet ── nat ── gateway b ── host b
 *   10.1.0.10                        │                          10.2.0.10, .11
 *   fd01::10                       edge                         fd02::10
 */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { eventually } from '../../lab/eventually.ts';
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
    const path = `${this.#root}${LOG}`;
    // Not there before the first record.
    return (existsSync(path) ? readFileSync(path, 'utf8') : '')
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
/** Not of one that began before the gateway had connections counted. */
const COUNTED = / packets=/;

netnsSuite('flows', ['nft', 'conntrack', 'ncat'], () => {
  test('records what conntrack has, and finds what goes one way', {
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
      mesh.create(b).then((joinToken) => {
        const file = b.gateway.file('connector.toml', '');
        return b.up('--config', file, '--token', joinToken);
      }),
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
      const mine = events.lines.filter((line) => MINE.test(line) && COUNTED.test(line));
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

    // The hosts of b lose their way back to the mesh; three connections to two of them.
    await b.host.ip('route delete default via 10.2.0.1');
    const asking = [b.address[4], '10.2.0.11', '10.2.0.11'].map((address) =>
      a.host.start(['ping', '-n', '-i', '0.2', address]),
    );

    // What the policy denies.
    const policy = `{ "default": "allow", "rules": [
      { "action": "allow", "protocol": "icmp" },
      { "action": "deny", "from": "a", "to": "b", "protocol": "udp", "ports": 9 },
    ] }`;
    await mesh.connector('policy', 'set', mesh.edge.file('policy.json', policy));
    const denied = await eventually(async () => {
      await a.host.run(['bash', '-c', `echo x > /dev/udp/${b.address[6]}/9`]);
      return log.flows().find(({ event }) => event === 'denied');
    }, 'a denied flow');
    expect(denied).toMatchObject({
      ...{ verdict: 'denied', protocol: 'udp', rule: 2, answered: false },
      source: { address: a.address[6] },
      destination: { address: b.address[6], port: 9 },
      connectors: { source: 'a', destination: 'b' },
    });

    // A full disk stops the log and nothing else; it goes on by itself.
    log.fill();
    const logOf = async () => (await statusOf(a)).flows.log!;
    await eventually(async () => {
      await reach(a.host, b.address[6]);
      await a.gateway.attempt(['conntrack', '-D', '-f', 'ipv6']);
      return (await logOf()).fault === 'the disk is full' ? true : undefined;
    }, 'the fault in the status');
    const { problems } = await statusOf(a);
    expect(problems.join()).toContain(`The flow log cannot be written to ${LOG}`);
    log.empty();
    const gap = await eventually(async () => {
      await reach(a.host, b.address[6]);
      await a.gateway.attempt(['conntrack', '-D', '-f', 'ipv6']);
      return log.lines().find(({ event }) => event === 'gap');
    }, 'a line for the gap');
    expect(gap).toMatchObject({ reason: 'the disk is full' });
    const { fault, dropped } = await logOf();
    expect(fault).toBeNull();
    expect(dropped).toBe((gap as GapEntry).records);

    // Meanwhile both gateways have found what goes one way, and the edge knows.
    const found = async (site: Site) => {
      const { flows, problems: said } = await statusOf(site);
      return flows.oneWay.length > 0 ? { ...flows.oneWay[0]!, said: said.join() } : undefined;
    };
    const there = await eventually(() => found(b), 'b finds that its site does not answer');
    expect(there).toMatchObject({ direction: 'in', prefix: '10.2.0.0/24', connector: 'b' });
    expect(there.said).toContain('has no route back to the mesh by this host');
    const here = await eventually(async () => {
      await reach(a.host, b.address[6]);
      return found(a);
    }, 'a finds that b does not answer');
    expect(here).toMatchObject({ direction: 'out', prefix: '10.2.0.0/24', about: 'prefix' });
    expect(here.said).toContain('The gateway of b itself is heard');
    const healthOf = async (name: string) => {
      const shown = await mesh.connector('show', name, '--json');
      return (JSON.parse(shown) as { health: { state: string; why: string } }).health;
    };
    for (const name of ['a', 'b']) {
      const health = await eventually(async () => {
        const now = await healthOf(name);
        return now.state === 'DEGRADED' ? now : undefined;
      }, `${name} is degraded`);
      expect(health.why).toContain('10.2.0.0/24');
    }
    await b.host.ip('route add default via 10.2.0.1');
    for (const name of ['a', 'b']) {
      await eventually(async () => (await healthOf(name)).state === 'HEALTHY' || undefined, name);
    }
    expect((await statusOf(b)).flows.oneWay).toEqual([]);
    await Promise.all(asking.map((ping) => ping.stop('SIGINT')));

    // Gateway b gets its log by SIGHUP; what goes on when it ends is told as open.
    const later = join(b.gateway.folder, 'flows.jsonl');
    b.gateway.file('connector.toml', `flow-log = "${later}"`);
    process.kill((await statusOf(b)).pid, 'SIGHUP');
    await eventually(async () => (await statusOf(b)).flows.log ?? undefined, 'a log at b');
    await reach(b.host, a.address[4]);
    await b.down();
    const open = readFileSync(later, 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(open).toContainEqual(
      expect.objectContaining({
        ...{ event: 'open', protocol: 'icmp', end: null },
        source: { address: b.address[4], port: null },
        connectors: { source: 'b', destination: 'a' },
      }),
    );

    await a.down();
    expect(await networkState(a.gateway)).toBe(before);
  });
});
