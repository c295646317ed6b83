/**
 * A route change at the edge until 1,000 connectors have received it over TLS, validated and applied
 * it. Time runs from before the request is sent, so the commit to the disk is in it.
 */
import { routeViewSchema } from '../src/control/operator-api.ts';
import { LoadedEdge } from './loaded-edge.ts';
import { note, quantile } from './measure.ts';
import type { Figure } from './options.ts';

const CHANGES = 50;
/** p99, in seconds. */
const BUDGET = 1;

export async function fanout(): Promise<Figure[]> {
  await using loaded = await LoadedEdge.open();
  const readers = await loaded.connect(false);
  const path = `/v1/routes/${loaded.route}`;
  const latencies: number[] = [];
  for (let i = 0; i < CHANGES; i++) {
    const arrived = readers.nextLine(/^\{.*\}$/, 30);
    const sent = Number(process.hrtime.bigint() / 1_000n) / 1_000;
    await loaded.api.call('PATCH', path, routeViewSchema, { priority: 10 + i });
    const [line] = await arrived;
    const { times } = JSON.parse(line) as { times: number[] };
    latencies.push(...times.map((time) => (time - sent) / 1_000));
  }
  const p99 = quantile(latencies, 0.99);
  note(
    `  p50 ${quantile(latencies, 0.5).toFixed(3)} s, worst ${Math.max(...latencies).toFixed(3)} s`,
  );
  return [{ part: '', ours: p99, unit: 's', budget: { most: BUDGET }, against: 'value' }];
}
