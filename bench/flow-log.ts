/**
 * One TCP stream between hosts of two sites, with flow log and one-way detector on at both gateways
 * against the same without connection tracking, in turn; and how long the gateway's control work waits
 * while 20,000 connections end at once.
 *
 *      host a ── gateway a ── nat ── edge ── nat ── gateway b ── host b
 */
import { readdirSync } from 'node:fs';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { INTERFACE, MeshLab, type Site } from '../lab/mesh-lab.ts';
import { reach } from '../lab/ping.ts';
import type { MeshStatus } from '../src/gateway/mesh/mesh-status.ts';
import { measureThroughput } from './iperf.ts';
import { median, note, quantile } from './measure.ts';
import type { Figure, Options } from './options.ts';

const CONNECTIONS = 20_000;

const OFF = 'one-way-detector = false\n';
const on = (site: Site): string => `flow-log = "${join(site.gateway.folder, 'flows.jsonl')}"\n`;

async function statusOf(site: Site): Promise<MeshStatus> {
  return (await site.status()) as unknown as MeshStatus;
}

/** Has the gateways read their configuration anew. */
async function configure(mesh: MeshLab, logged: boolean): Promise<void> {
  for (const site of mesh.sites) {
    site.gateway.file('connector.toml', logged ? on(site) : OFF);
    process.kill((await site.status()).pid, 'SIGHUP');
  }
  for (const site of mesh.sites) {
    while (((await statusOf(site)).flows.log !== null) !== logged) await delay(100);
  }
}

/** Milliseconds that each of many questions on the local socket waits, one after the other. */
async function* waits(site: Site): AsyncGenerator<number> {
  const directory = join(site.gateway.folder, 'causeway');
  const name = readdirSync(directory, { recursive: true, encoding: 'utf8' }).find((file) =>
    file.endsWith(`${INTERFACE}.sock`),
  )!;
  for (;;) {
    const begin = performance.now();
    const socket = createConnection(join(directory, name));
    socket.write('{"request":"status"}\n');
    for await (const _ of socket) break;
    yield performance.now() - begin;
  }
}

/** The longest waits while that many connections end at once. */
async function burst(mesh: MeshLab): Promise<Figure> {
  const [a, b] = mesh.sites as [Site, Site];
  const program = join(import.meta.dirname, 'programs/port-burst.ts');
  const { written: before, lost: lostBefore } = (await statusOf(a)).flows.log!;
  await a.host.run([process.execPath, program, b.address[4], String(CONNECTIONS)]);
  const { count } = await connections(a);
  const flushed = a.gateway.run(['conntrack', '-F']);
  const seen: number[] = [];
  const deadline = performance.now() + 3_000;
  for await (const ms of waits(a)) {
    seen.push(ms);
    if (performance.now() > deadline) break;
  }
  await flushed;
  const { written, dropped, lost } = (await statusOf(a)).flows.log!;
  note(
    `  ${count} connections ended: ${written - before} records, ${dropped} dropped, events lost ${lost - lostBefore} times; status in ${median(seen).toFixed(1)} ms, p99 ${quantile(seen, 0.99).toFixed(1)}`,
  );
  const most = quantile(seen, 1);
  return { part: 'burst', ours: most, unit: 'ms', budget: { most: 100 }, against: 'value' };
}

async function connections(site: Site): Promise<{ readonly count: number }> {
  const text = await site.gateway.run(['sysctl', '-n', 'net.netfilter.nf_conntrack_count']);
  return { count: Number(text) };
}

export async function flowLog(options: Options): Promise<Figure[]> {
  await using mesh = await MeshLab.open({ name: 'a', number: 1 }, { name: 'b', number: 2 });
  await mesh.startEdge();
  const [a, b] = mesh.sites as [Site, Site];
  for (const site of mesh.sites) {
    const file = site.gateway.file('connector.toml', OFF);
    await site.up('--config', file, '--token', await mesh.create(site));
  }
  await reach(a.host, b.address[4], 30);
  const rates = { on: [] as number[], off: [] as number[] };
  const measure = async (logged: boolean): Promise<void> => {
    await configure(mesh, logged);
    const ends = { west: a.host, east: b.host };
    const seconds = options.seconds ?? 5;
    rates[logged ? 'on' : 'off'].push(await measureThroughput(ends, seconds, [], b.address[4]));
  };
  for (let i = 0; i < options.pairs; i++) {
    for (const logged of i % 2 === 0 ? [true, false] : [false, true]) await measure(logged);
    note(`  pair ${i + 1}: ${rates.on[i]!.toFixed(0)} of ${rates.off[i]!.toFixed(0)}`);
  }
  await configure(mesh, true);
  const measured = { ours: median(rates.on), peer: median(rates.off) };
  const stream = { part: '', ...measured, unit: 'Mbit/s', budget: { least: 0.95 } };
  return [{ ...stream, against: 'ratio', reference: 'off' }, await burst(mesh)];
}
