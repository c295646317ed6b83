/**
 * One TCP stream from a host of one site to a host of another, through both gateways, against one
 * between the gateways themselves, in turn (lab/two-sites.ts):
 *
 *      host-a ── gateway-a ── internet ── gateway-b ── host-b
 */
import { reach } from '../lab/ping.ts';
import { CONNECTOR, TwoSites } from '../lab/two-sites.ts';
import { measureThroughput } from './iperf.ts';
import { median, note } from './measure.ts';
import type { Figure, Options } from './options.ts';

/** Of the gateways in the tunnel. */
const GATEWAY_B = '100.96.0.2';

export async function forwarding(options: Options): Promise<Figure[]> {
  await using sites = await TwoSites.open();
  const { a, b } = sites;
  for (const { gateway, file } of [a, b]) await gateway.run([CONNECTOR, 'tunnel', 'up', file]);
  await reach(a.host, b.address[4]);
  const seconds = options.seconds ?? 5;
  const hosts = { west: a.host, east: b.host };
  const gateways = { west: a.gateway, east: b.gateway };
  const rates = { hosts: [] as number[], gateways: [] as number[] };
  const turn = [
    async () => rates.hosts.push(await measureThroughput(hosts, seconds, [], b.address[4])),
    async () => rates.gateways.push(await measureThroughput(gateways, seconds, [], GATEWAY_B)),
  ];
  for (let i = 0; i < options.pairs; i++) {
    for (const side of i % 2 === 0 ? turn : turn.toReversed()) await side();
    note(`  pair ${i + 1}: ${rates.hosts[i]!.toFixed(0)} of ${rates.gateways[i]!.toFixed(0)}`);
  }
  const measured = { ours: median(rates.hosts), peer: median(rates.gateways) };
  const budget = { least: 0.85 };
  return [
    { part: '', ...measured, unit: 'Mbit/s', budget, against: 'ratio', reference: 'gateways' },
  ];
}
