/**
 * Sites over underlays of 1280 to 9000 bytes, with and without a narrower link in the middle, and nobody
 * who says so: no ICMP error leaves, passes or reaches any router, gateway or host (lab/mesh-lab.ts).
 * TCP down and up, UDP of every kind of size, IPv4 and IPv6; then a path that changes under traffic.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { eventually } from '../../lab/eventually.ts';
import { missing } from '../../lab/implementation.ts';
import { MeshLab, type Site } from '../../lab/mesh-lab.ts';
import { ServiceClient, startService } from '../../lab/service.ts';
import {
  clampControlPlane,
  endSilence,
  lansOf,
  narrow,
  silence,
  underlayOf,
  widen,
} from '../../lab/underlay.ts';

const PORT = 7;
const DOWNLOAD = 50_000_000;
const MINUTES = 10 * 60_000;
/** Milliseconds in which a transfer that moves at all is done, on a machine that others use too. */
const NO_STALL = 60_000;

/** IPv6 20 more, UDP 8, a message 32; the interface takes 80 off its own link. */
function expected(edge: 4 | 6, link: number, narrowest: number): number {
  const carried = narrowest - (edge === 4 ? 60 : 80);
  const most = Math.max(Math.min(link, 9_000) - 80, 1_280);
  return carried >= most ? most : Math.floor(carried / 16) * 16;
}

async function withoutStall(transfer: Promise<unknown>): Promise<void> {
  const started = Date.now();
  await transfer;
  expect(Date.now() - started).toBeLessThan(NO_STALL);
}

async function twoSites(link: number, narrowest: number): Promise<MeshLab> {
  const mesh = await MeshLab.open({ name: 'a', number: 1 }, { name: 'b', number: 2 });
  if (link !== 1_500) await widen(mesh, link);
  await narrow(mesh, mesh.site('b'), narrowest);
  await silence(...underlayOf(mesh), ...lansOf(mesh));
  await clampControlPlane(mesh);
  // A host sends datagrams without DF, unless it may hear that they are too long.
  for (const { host } of mesh.sites) await host.sysctl({ 'net.ipv4.ip_no_pmtu_disc': 1 });
  return mesh;
}

const lack = missing('wg', 'ping', 'nft');

describe.skipIf(lack)(lack ? `path MTU (skipped: ${lack})` : 'path MTU', () => {
  test.each([
    { edge: 4, link: 1_500, narrowest: 1_280 },
    { edge: 6, link: 1_500, narrowest: 1_280 },
    { edge: 4, link: 1_280, narrowest: 1_280 },
    { edge: 4, link: 1_500, narrowest: 1_492 },
    { edge: 6, link: 1_500, narrowest: 1_492 },
    { edge: 4, link: 1_500, narrowest: 1_500 },
    { edge: 4, link: 9_000, narrowest: 1_500 },
    { edge: 6, link: 9_000, narrowest: 4_000 },
    { edge: 4, link: 9_000, narrowest: 9_000 },
  ] as const)(
    'links of $link, one of $narrowest, edge by IPv$edge',
    {
      timeout: MINUTES,
    },
    async ({ edge, link, narrowest }) => {
      await using mesh = await twoSites(link, narrowest);
      const [a, b] = mesh.sites as [Site, Site];
      await mesh.startEdge(edge === 4 ? '203.0.113.10' : '2001:db8:113::10');
      await mesh.joinAll();
      await Promise.all([startService(a.host, PORT), startService(b.host, PORT)]);
      for (const family of [4, 6] as const) {
        const there = new ServiceClient(a.host, b.address[family], PORT);
        const back = new ServiceClient(b.host, a.address[family], PORT);
        // Up alone, and both ways at once, from either side.
        await withoutStall(there.bulk(DOWNLOAD));
        await withoutStall(back.bulk(DOWNLOAD));
        await withoutStall(there.echo(DOWNLOAD));
      }
      const mtu = expected(edge, link, narrowest);
      await eventually(
        async () => (await a.status()).peers[0]?.mtu === mtu,
        `a path MTU of ${mtu}`,
      );
      const around = [mtu - 28, link - 28, 2 * mtu].flatMap((size) => [size - 1, size, size + 1]);
      const sizes = [1, 2, 100, 512, 1_000, 1_232, ...around, 9_000, 40_001, 65_506, 65_507];
      await new ServiceClient(a.host, b.address[4], PORT).datagrams(...sizes);
      await new ServiceClient(b.host, a.address[4], PORT).datagrams(...sizes);
      // Over IPv6 up to what no host need make smaller; above it the sender must hear of it.
      const v6 = new ServiceClient(a.host, b.address[6], PORT);
      await v6.datagrams(1, 500, 1_150, 1_152, 1_153, 1_168, 1_200, 1_231, 1_232);
      await endSilence(...lansOf(mesh));
      for (let i = 0; i < 2; i++) await v6.datagrams(link - 48).catch(() => {});
      await v6.datagrams(1_233, mtu - 48, mtu - 47, link - 48, link - 47, 9_000, 65_506, 65_507);
    },
  );

  test('a path that becomes narrower under traffic, and wide again', {
    timeout: MINUTES,
  }, async () => {
    await using mesh = await twoSites(1_500, 1_500);
    const [a, b] = mesh.sites as [Site, Site];
    // A connection that is open announced large segments: its host has to hear of the change.
    await endSilence(...lansOf(mesh));
    for (const { host } of mesh.sites) await host.sysctl({ 'net.ipv4.ip_no_pmtu_disc': 0 });
    await mesh.startEdge();
    await mesh.joinAll();
    await startService(b.host, PORT);
    const clients = ([4, 6] as const).map((family) => {
      return new ServiceClient(a.host, b.address[family], PORT);
    });
    const isFound = async (mtu: number): Promise<boolean> => {
      const seen = await Promise.all([a, b].map((site) => site.status()));
      return seen.every(({ peers }) => peers[0]?.mtu === mtu);
    };
    for (const client of clients) await client.echo(1_000_000);
    await eventually(() => isFound(1_420), 'all of it is found');
    for (const [link, mtu] of [
      [1_280, 1_216],
      [1_500, 1_420],
      [1_400, 1_328],
    ] as const) {
      const streams = clients.map((client) => withoutStall(client.echo(40_000_000)));
      await delay(300);
      await narrow(mesh, b, link);
      await Promise.all(streams);
      await eventually(async () => {
        for (const client of clients) await client.echo(200_000);
        return isFound(mtu);
      }, `a path MTU of ${mtu}`);
    }
  });
});
