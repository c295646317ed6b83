/**
 * The way out that a site uses is cut off, and comes back: three sites (lab/mesh-lab.ts), of which a
 * names b, then c. A minute or more goes by until silence is no coincidence (silence.ts). And a way out
 * whose rules somebody takes away so often that they are not put back at once any more.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { MeshLab, type Site } from '../../lab/mesh-lab.ts';
import { isSilent, reach } from '../../lab/ping.ts';
import { ServiceClient, startService } from '../../lab/service.ts';
import type { MeshStatus } from '../../src/gateway/mesh/mesh-status.ts';
import { netnsSuite } from '../netns/suite.ts';

const PORT = 7;
const INTERNET = '203.0.113.1';

/** Packets that came out of the mesh and were not let in. */
async function keptOut(site: Site): Promise<number> {
  const { drops } = (await site.status()) as unknown as MeshStatus;
  return drops.find(({ reason }) => reason === 'in_destination_not_own')?.packets ?? 0;
}

/** By whom a's IPv4 traffic goes, while it keeps trying. */
async function goesBy(site: Site, name: string): Promise<void> {
  const traffic = site.host.start(['ping', '-n', '-q', '-i', '0.5', INTERNET]);
  const deadline = Date.now() + 180_000;
  for (;;) {
    const { breakout } = (await site.status()) as unknown as MeshStatus;
    if (breakout?.ipv4.connector === name) break;
    if (Date.now() > deadline) throw new Error(`not by ${name}: ${JSON.stringify(breakout)}`);
    await delay(1_000);
  }
  await traffic.stop('SIGINT');
}

netnsSuite('a way out that is cut off', ['nft'], () => {
  test('is passed over for the next one, and taken again', { timeout: 600_000 }, async () => {
    const plans = ['a', 'b', 'c'].map((name, i) => ({ name, number: i + 1 }));
    await using mesh = await MeshLab.open(...plans);
    const [a, b, c] = mesh.sites as [Site, Site, Site];
    await mesh.startEdge();
    await startService(mesh.internet, PORT);
    const out = ['--route', '0.0.0.0/0', '--allow-default'];
    await a.up('--token', await mesh.create(a), '--breakout', 'b', 'c');
    await b.up('--token', await mesh.create(b, ...out));
    await c.up('--token', await mesh.create(c, ...out));
    const seenAs = async (): Promise<string> =>
      (await new ServiceClient(a.host, INTERNET, PORT).who('tcp')).from;
    await goesBy(a, 'b');
    expect(await seenAs()).toBe('198.51.2.2');
    await b.gateway.ip('link set wan0 down');
    await goesBy(a, 'c');
    expect(await seenAs()).toBe('198.51.3.2');
    await b.gateway.ip('link set wan0 up', 'route add default via 192.168.2.1');
    await goesBy(a, 'b');
    expect(await seenAs()).toBe('198.51.2.2');
  });

  test('carries nothing while its rules are missing', { timeout: 300_000 }, async () => {
    await using mesh = await MeshLab.open({ name: 'a', number: 1 }, { name: 'b', number: 2 });
    const [a, b] = mesh.sites as [Site, Site];
    await mesh.startEdge();
    // Behind b, but nobody's route, nor the Internet.
    const inside = '10.77.0.10';
    await b.gateway.ip('address add 10.77.0.1/24 dev lan0');
    await b.host.ip(`address add ${inside}/24 dev eth0`);
    await a.up('--token', await mesh.create(a), '--breakout', 'b');
    await b.up('--token', await mesh.create(b, '--route', '0.0.0.0/0', '--allow-default'));
    await reach(a.host, INTERNET, 20);
    expect(await isSilent(a.host, inside)).toBe(true);
    expect(await keptOut(b)).toBe(0);
    const table = 'causeway-causeway0-breakout';
    const isThere = async (): Promise<boolean> =>
      (await b.gateway.run(['nft', 'list', 'tables'])).includes(table);
    const isBack = async (): Promise<void> => {
      const deadline = Date.now() + 60_000;
      while (!(await isThere())) {
        if (Date.now() > deadline) throw new Error('the rules are not put back');
        await delay(100);
      }
    };
    // Then they are missing for 8 s (contention.ts).
    for (let times = 0; times < 7; times++) {
      await b.gateway.nft(`delete table inet ${table}`);
      await isBack();
      await delay(600);
    }
    await b.gateway.nft(`delete table inet ${table}`);
    await delay(1_000);
    expect(await isSilent(a.host, inside)).toBe(true);
    expect(await keptOut(b)).toBeGreaterThan(0);
    expect(await isThere()).toBe(false);
    await isBack();
    await reach(a.host, INTERNET, 20);
    expect(await isSilent(a.host, inside)).toBe(true);
  });
});
