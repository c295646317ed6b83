/**
 * What breaks between two sites of a mesh (lab/mesh-lab.ts) and takes its time by design, because
 * gateways wait between attempts: a relay's address that dies, an edge that runs with an old backup.
 */
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { eventually } from '../../lab/eventually.ts';
import { EDGE, MeshLab, RELAY_PORT, type Site } from '../../lab/mesh-lab.ts';
import { Probe } from '../../lab/probe.ts';
import { ServiceClient, startService } from '../../lab/service.ts';
import { netnsSuite } from '../netns/suite.ts';

const PORT = 7;
const SECONDS = 120_000;

netnsSuite('longer outages of a mesh', ['nft'], () => {
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
    const gap = await probe.longestGap();
    process.stdout.write(
      `outage: the relay's address in use died: nothing came through for ${Math.round(gap)} ms\n`,
    );
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
    connection.write('restored\n');
    await connection.line(/restored/, 30);
    for (const site of [a, b]) {
      await eventually(async () => (await site.status()).stream.state === 'open', site.name);
    }
  });
});
