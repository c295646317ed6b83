/**
 * What breaks while traffic flows between two sites of a mesh (lab/mesh-lab.ts), and for how long it
 * is felt: each figure is printed. The sites are a and b, the NATs and the internet between them.
 */
import { copyFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { API_PORT, CONNECTOR, EDGE, MeshLab, RELAY_PORT, type Site } from '../../lab/mesh-lab.ts';
import { isSilent } from '../../lab/ping.ts';
import { Probe } from '../../lab/probe.ts';
import type { Process } from '../../lab/process.ts';
import { ServiceClient, startService } from '../../lab/service.ts';
import { netnsSuite } from './suite.ts';

const PORT = 7;
const SECONDS = 120_000;

interface Running extends AsyncDisposable {
  readonly mesh: MeshLab;
  readonly a: Site;
  readonly b: Site;
  /** A TCP connection from a to b. */
  readonly connection: Process;
}

async function running(): Promise<Running> {
  const mesh = await MeshLab.open({ name: 'a', number: 1 }, { name: 'b', number: 2 });
  await mesh.startEdge();
  const [a, b] = mesh.sites as [Site, Site];
  await startService(b.host, PORT);
  await mesh.joinAll();
  const connection = new ServiceClient(a.host, b.address[4], PORT).stream();
  await connection.line(/from/);
  return { mesh, a, b, connection, [Symbol.asyncDispose]: () => mesh[Symbol.asyncDispose]() };
}

/** The connection still carries what is written to it. */
async function survives(connection: Process, word: string): Promise<void> {
  connection.write(`${word}\n`);
  await connection.line(new RegExp(word), 30);
}

function print(what: string, gap: number): void {
  process.stdout.write(`outage: ${what}: nothing came through for ${Math.round(gap)} ms\n`);
}

async function eventually(holds: () => Promise<boolean>, what: string): Promise<void> {
  const deadline = Date.now() + 45_000;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`not within 45 s: ${what}`);
    await delay(100);
  }
}

netnsSuite('outages of a mesh', ['nft'], () => {
  test('the edge is killed and started again', { timeout: SECONDS }, async () => {
    await using lab = await running();
    const { mesh, a, b, connection } = lab;
    const probe = await Probe.start(a.host, b.address[4]);
    const killed = performance.now();
    await mesh.edgeProcess.stop('SIGKILL');
    await mesh.startEdge();
    const away = performance.now() - killed;
    await probe.answered(10);
    const gap = await probe.longestGap();
    print(`edge killed, up again after ${Math.round(away)} ms`, gap);
    // What is ours to lose is what comes on top of the edge's own start.
    expect(gap).toBeLessThan(Math.max(3_000, away + 2_000));
    await survives(connection, 'edge');
    await eventually(async () => (await a.status()).stream.state === 'open', 'the stream is open');
    expect((await a.status()).problems).toEqual([]);
  });

  test('the API is blocked while the relay runs', { timeout: SECONDS }, async () => {
    await using lab = await running();
    const { mesh, a, b, connection } = lab;
    const probe = await Probe.start(a.host, b.address[4]);
    await mesh.edge.nft(`
      table inet block {
        chain input { type filter hook input priority 0; tcp dport ${API_PORT} drop; }
      }`);
    await delay(5_000);
    const blocked = await probe.stop();
    print('API blocked', blocked);
    expect(blocked).toBeLessThan(1_000);
    await b.down();
    const again = performance.now();
    await b.up();
    process.stdout.write(
      `outage: a start from the cache took ${Math.round(performance.now() - again)} ms\n`,
    );
    expect((await b.status()).netmap).toMatchObject({ source: 'cache' });
    await survives(connection, 'cache');
    await mesh.edge.run(['nft', 'delete', 'table', 'inet', 'block']);
    // A change at the edge arrives as soon as the API answers again.
    await mesh.connector('routes', 'add', '10.99.0.0/24', '--connector', 'b');
    await eventually(
      async () => (await a.status()).routes.some(({ prefix }) => prefix === '10.99.0.0/24'),
      'the new route arrives',
    );
  });

  test('the gateway gets another address', { timeout: SECONDS }, async () => {
    await using lab = await running();
    const { a, b, connection } = lab;
    const probe = await Probe.start(a.host, b.address[4]);
    await a.gateway.ip(
      'address del 192.168.1.2/24 dev wan0',
      'address add 192.168.1.77/24 dev wan0',
      'route add default via 192.168.1.1',
    );
    const gap = await probe.longestGap();
    print('another address', gap);
    expect(gap).toBeLessThan(2_000);
    await survives(connection, 'address');
    await eventually(async () => (await a.status()).stream.state === 'open', 'the stream is open');
  });

  test('the gateway is killed and started again', { timeout: SECONDS }, async () => {
    await using lab = await running();
    const { a, b, connection } = lab;
    const { pid } = await a.status();
    // From the other side, whose gateway does not know that its session is lost.
    const probe = await Probe.start(b.host, a.address[4]);
    const killed = performance.now();
    process.kill(pid, 'SIGKILL');
    await a.up();
    const away = performance.now() - killed;
    const gap = await probe.longestGap();
    print(`gateway killed, up again after ${Math.round(away)} ms`, gap);
    expect(gap).toBeLessThan(away + 1_000);
    await survives(connection, 'gateway');
    await a.down();
    expect(await a.gateway.run(['ip', 'rule'])).not.toContain('fwmark');
  });

  test('one of the relay’s addresses is dead, then another', { timeout: SECONDS }, async () => {
    await using mesh = await MeshLab.open({ name: 'a', number: 1 }, { name: 'b', number: 2 });
    const dead = `203.0.113.99:${RELAY_PORT}`;
    const endpoints = [dead, `${EDGE[4]}:${RELAY_PORT}`, `[${EDGE[6]}]:${RELAY_PORT}`];
    await mesh.startEdge(EDGE[4], ...endpoints.flatMap((endpoint) => ['--endpoint', endpoint]));
    await mesh.joinAll();
    const [a, b] = mesh.sites as [Site, Site];
    const without = async (address: string): Promise<boolean> => {
      const edges = await Promise.all([a, b].map(async (site) => (await site.status()).edges[0]!));
      return edges.every((one) => one.endpoint !== address && one.lastHandshake !== null);
    };
    await eventually(() => without(dead), 'an address that answers is used');
    const probe = await Probe.start(a.host, b.address[4]);
    await probe.answered(10);
    const used = (await a.status()).edges[0]!.endpoint!;
    const [family, address] = used.startsWith('[') ? ['ip6', EDGE[6]] : ['ip', EDGE[4]];
    await mesh.edge.nft(`
      table inet block {
        chain input {
          type filter hook input priority 0
          ${family} daddr ${address} udp dport ${RELAY_PORT} drop
        }
        chain output {
          type filter hook output priority 0
          ${family} saddr ${address} udp sport ${RELAY_PORT} drop
        }
      }`);
    await eventually(() => without(used), 'the next one is used');
    await probe.answered(10);
    print("the relay's address in use died", await probe.longestGap());
    expect((await a.status()).problems).toEqual([]);
  });

  test('the edge runs with a backup older than its gateways', { timeout: SECONDS }, async () => {
    await using mesh = await MeshLab.open({ name: 'a', number: 1 }, { name: 'b', number: 2 });
    const [a, b] = mesh.sites as [Site, Site];
    const registry = join(mesh.dataDirectory, 'registry.db');
    const restart = async (from: string, keep: string): Promise<void> => {
      await mesh.edgeProcess.stop();
      copyFileSync(registry, `${registry}.${keep}`);
      copyFileSync(`${registry}.${from}`, registry);
      await mesh.startEdge();
    };
    await mesh.startEdge();
    await mesh.edgeProcess.stop();
    copyFileSync(registry, `${registry}.old`);
    await mesh.startEdge();
    await mesh.joinAll();
    await startService(b.host, PORT);
    const connection = new ServiceClient(a.host, b.address[4], PORT).stream();
    await connection.line(/from/);

    await restart('old', 'new');
    const refused = async (site: Site) => (await site.status()).stream.error?.code;
    await eventually(async () => (await refused(a)) === 'UNAUTHORIZED', 'a is refused');
    const status = await a.status();
    expect(status.problems[0]).toContain("does not know this replica's credential");
    expect(status.routes).toContainEqual(expect.objectContaining({ state: 'in force' }));
    // Also one that is started meanwhile.
    await b.down();
    await b.up();
    expect((await b.status()).netmap).toMatchObject({ source: 'cache' });

    await restart('new', 'old');
    await survives(connection, 'restored');
    for (const site of [a, b]) {
      await eventually(async () => (await site.status()).stream.state === 'open', site.name);
    }
  });

  test('a connector is deleted while it is connected', { timeout: SECONDS }, async () => {
    await using lab = await running();
    const { mesh, a, b } = lab;
    const probe = await Probe.start(a.host, b.address[4]);
    const ours = ['ip', 'route', 'show', 'table', 'all', 'proto', '167'];
    const routed = async (): Promise<boolean> => (await b.gateway.run(ours)) !== '';
    expect(await routed()).toBe(true);
    await mesh.connector('delete', 'b');
    const deleted = performance.now();
    await eventually(async () => !(await routed()), 'the routes are withdrawn');
    const took = performance.now() - deleted;
    process.stdout.write(`outage: connector deleted, routes gone after ${Math.round(took)} ms\n`);
    expect(took).toBeLessThan(2_000);
    await probe.stop();
    expect(await isSilent(a.host, b.address[4])).toBe(true);
    const status = await b.status();
    expect(status.peers).toEqual([]);
    expect(status.stream.state).toBe('gone');
    expect(status.problems[0]).toContain('was deleted at the edge');
    await b.down();
    const again = await b.gateway.attempt([CONNECTOR, 'up', '--state-dir', b.stateDirectory]);
    expect(again.stderr).toMatch(/\[CONNECTOR_GONE\]/);
    expect(readFileSync(join(b.stateDirectory, 'identity.json'), 'utf8')).toContain('"gone"');
  });
});
