/**
 * What breaks while traffic flows between two sites of a mesh (lab/mesh-lab.ts), and for how long it
 * is felt: each figure is printed. The sites are a and b, the NATs and the internet between them. One
 * mesh lives through all of it, in this order. What takes longer by design is in test/long/outages.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventually } from '../../lab/eventually.ts';
import { API_PORT, CONNECTOR, MeshLab, type Site } from '../../lab/mesh-lab.ts';
import { isSilent } from '../../lab/ping.ts';
import { Probe } from '../../lab/probe.ts';
import type { Process } from '../../lab/process.ts';
import { ServiceClient, startService } from '../../lab/service.ts';
import { netnsSuite } from './suite.ts';

const PORT = 7;
const SECONDS = 120_000;

/** The connection still carries what is written to it. */
async function survives(connection: Process, word: string): Promise<void> {
  connection.write(`${word}\n`);
  await connection.line(new RegExp(word), 30);
}

function print(what: string, gap: number): void {
  process.stdout.write(`outage: ${what}: nothing came through for ${Math.round(gap)} ms\n`);
}

netnsSuite('outages of a mesh', ['nft'], () => {
  let mesh: MeshLab;
  let a: Site;
  let b: Site;
  /** From a to b, through everything that happens. */
  let connection: Process;
  beforeAll(async () => {
    mesh = await MeshLab.open({ name: 'a', number: 1 }, { name: 'b', number: 2 });
    await mesh.startEdge();
    [a, b] = mesh.sites as [Site, Site];
    await startService(b.host, PORT);
    await mesh.joinAll();
    connection = new ServiceClient(a.host, b.address[4], PORT).stream();
    await connection.line(/from/);
  });
  afterAll(() => mesh?.[Symbol.asyncDispose]());

  test('the edge is killed and started again', { timeout: SECONDS }, async () => {
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
    const probe = await Probe.start(a.host, b.address[4]);
    await mesh.edge.nft(`
      table inet block {
        chain input { type filter hook input priority 0; tcp dport ${API_PORT} drop; }
      }`);
    // Long after everything that was under way has been answered.
    await delay(2_000);
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
  });

  test('a gateway goes down on purpose: the edge hears it at once', {
    timeout: SECONDS,
  }, async () => {
    const health = async () => {
      const shown = await mesh.connector('show', 'a', '--json');
      return (JSON.parse(shown) as { health: { state: string; why: string } }).health;
    };
    await eventually(async () => (await health()).state === 'HEALTHY', 'a is healthy');
    // A tunnel's `down` ends no gateway.
    const other = await a.gateway.attempt([CONNECTOR, 'tunnel', 'down', 'causeway0']);
    expect(other.stderr).toMatch(/`connector down --interface causeway0` ends it/);
    await a.down();
    // Long before the binding would end by silence, which the reason tells apart as well.
    await eventually(async () => (await health()).state === 'DOWN', 'a is down');
    expect(await health()).toMatchObject({
      state: 'DOWN',
      why: expect.stringContaining('is bound to no edge (stopped on its host)'),
    });
    expect(await a.gateway.run(['ip', 'rule'])).not.toContain('fwmark');
    await a.up();
    await eventually(async () => (await health()).state === 'HEALTHY', 'a is healthy again');
    await survives(connection, 'up-again');
    // As `systemctl restart` does it.
    await a.down();
    await a.up();
    await eventually(
      async () => (await health()).state === 'HEALTHY',
      'a is healthy after restart',
    );
    await survives(connection, 'restarted');
    // One that is killed says nothing.
    process.kill((await a.status()).pid, 'SIGKILL');
    expect((await health()).state).toBe('HEALTHY');
    await a.up();
    await survives(connection, 'killed');
    expect((await health()).state).toBe('HEALTHY');
  });

  test('a connector is deleted while it is connected', { timeout: SECONDS }, async () => {
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
