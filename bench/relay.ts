/**
 * Two gateways through the relay of an edge, three daemons on one machine, against two gateways of ours
 * that meet directly. Both topologies stand all the time, and are measured in turn.
 *
 *      west ═══ edge ═══ east        west ═══ east
 */
import { ours } from '../lab/implementation.ts';
import { reach } from '../lab/ping.ts';
import { RelayMesh } from '../lab/relay-mesh.ts';
import { type Ends, INNER } from '../lab/tunnel-pair.ts';
import { measureThroughput } from './iperf.ts';
import { median, note, openPair } from './measure.ts';
import type { Figure, Options } from './options.ts';
import { measureRate } from './pps.ts';

async function againstDirect(
  options: Options,
  measure: (ends: Ends) => Promise<number>,
): Promise<{ ours: number; peer: number }> {
  await using pair = await openPair(ours());
  await using mesh = await RelayMesh.open({ nat: false });
  const relayed = { west: mesh.west.namespace, east: mesh.east.namespace };
  await reach(relayed.west, INNER.right);
  const rates = { relayed: [] as number[], direct: [] as number[] };
  const turn = [
    async () => rates.direct.push(await measure(pair)),
    async () => rates.relayed.push(await measure(relayed)),
  ];
  for (let i = 0; i < options.pairs; i++) {
    for (const side of i % 2 === 0 ? turn : turn.toReversed()) await side();
    note(`  pair ${i + 1}: ${rates.relayed[i]!.toFixed(0)} of ${rates.direct[i]!.toFixed(0)}`);
  }
  return { ours: median(rates.relayed), peer: median(rates.direct) };
}

export async function relay(options: Options): Promise<Figure[]> {
  const rates = await againstDirect(options, (ends) => {
    return measureThroughput(ends, options.seconds ?? 5);
  });
  const budget = { least: 0.7 };
  return [{ part: '', ...rates, unit: 'Mbit/s', budget, against: 'ratio', reference: 'direct' }];
}

export async function relayPps(options: Options): Promise<Figure[]> {
  const lastOf = new Map<Ends, number>();
  const rates = await againstDirect(options, async (ends) => {
    const found = await measureRate(ends, options.seconds ?? 1, lastOf.get(ends));
    lastOf.set(ends, found);
    return found;
  });
  const budget = { least: 0.6 };
  return [{ part: '', ...rates, unit: 'packets/s', budget, against: 'ratio', reference: 'direct' }];
}
