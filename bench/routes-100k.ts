/**
 * 100,000 routes of 50 connectors, three quarters of them IPv4, from the text of a netmap to the last of
 * them in data plane and kernel; then one more at a time; and one TCP stream while all of that happens,
 * against the same stream while nothing does, in turn.
 *
 *      west: a gateway under netmaps made here ═══ east: stock WireGuard, ours
 */
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { Device } from '../lab/device.ts';
import { ours } from '../lab/implementation.ts';
import { Lab } from '../lab/lab.ts';
import { connect } from '../lab/namespace.ts';
import { reach } from '../lab/ping.ts';
import type { Process } from '../lab/process.ts';
import { INNER, OUTER, PORT } from '../lab/tunnel-pair.ts';
import { startIperf } from './iperf.ts';
import { median, note } from './measure.ts';
import type { Figure, Options } from './options.ts';

const ROUTES = 100_000;
const SINGLE_CHANGES = 20;
const PROGRAM = join(import.meta.dirname, 'programs/route-gateway.ts');

async function ask(gateway: Process, command: string, answer: string): Promise<number> {
  const line = gateway.nextLine(new RegExp(`^${answer} ([\\d.]+)$`), 60);
  gateway.write(`${command}\n`);
  return Number((await line)[1]);
}

export async function routes100k(options: Options): Promise<Figure[]> {
  await using lab = new Lab();
  const [west, east] = await lab.namespaces('west', 'east');
  await connect(
    { namespace: west, link: 'eth0', addresses: [`${OUTER.left}/24`] },
    { namespace: east, link: 'eth0', addresses: [`${OUTER.right}/24`] },
  );
  const other = await Device.start(east, ours());
  const gateway = west.start([process.execPath, PROGRAM, mkdtempSync(join(west.folder, 'state-'))]);
  const ready = gateway.nextLine(/^ready (\S+)$/, 60);
  gateway.write(`start ${other.keys.publicKey} ${OUTER.right}:${PORT}\n`);
  const [, publicKey] = await ready;
  await other.configure(PORT, { publicKey: publicKey!, allowedIps: [`${INNER.left}/32`] });
  await other.up([`${INNER.right}/16`]);
  await reach(west, INNER.right);
  const ends = { west, east };
  // Long enough that all of it falls into the time that is measured, and what is idle counts too.
  const seconds = options.seconds ?? 15;
  const seen = { all: [] as number[], one: [] as number[] };
  const rates = { during: [] as number[], quiet: [] as number[] };
  const during = async (): Promise<void> => {
    const stream = await startIperf(ends, seconds);
    seen.all.push(await ask(gateway, 'install', 'installed'));
    for (let i = 0; i < SINGLE_CHANGES; i++) seen.one.push(await ask(gateway, 'one', 'one'));
    rates.during.push(await stream.done);
    const listing = ['-4', '-6'].map((family) =>
      west.run(['ip', family, '-o', 'route', 'show', 'table', '52000']),
    );
    const installed = (await Promise.all(listing)).join('').split('\n').length;
    if (installed < ROUTES) throw new Error(`${installed} routes are installed`);
    await ask(gateway, 'remove', 'removed');
  };
  const quiet = async (): Promise<void> => {
    rates.quiet.push(await (await startIperf(ends, seconds)).done);
  };
  for (let i = 0; i < options.pairs; i++) {
    const turn = [during, quiet];
    for (const side of i % 2 === 0 ? turn : turn.toReversed()) await side();
    note(
      `  pair ${i + 1}: all in ${(seen.all[i]! / 1_000).toFixed(2)} s, one in ${median(seen.one.slice(-SINGLE_CHANGES)).toFixed(1)} ms, ${rates.during[i]!.toFixed(0)} of ${rates.quiet[i]!.toFixed(0)} Mbit/s`,
    );
  }
  await gateway.stop();
  await other.process.stop();
  return [
    {
      ...{ part: 'all', ours: median(seen.all) / 1_000, unit: 's' },
      ...{ budget: { most: 5 }, against: 'value' },
    },
    {
      ...{ part: 'one', ours: median(seen.one), unit: 'ms' },
      ...{ budget: { most: 20 }, against: 'value' },
    },
    {
      ...{ part: 'stream', ours: median(rates.during), peer: median(rates.quiet), unit: 'Mbit/s' },
      ...{ budget: { least: 0.95 }, against: 'ratio', reference: 'quiet' },
    },
  ];
}
