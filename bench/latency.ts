/** Round-trip times of ping through the tunnel: idle, and while one TCP stream fills it. */
import { ping } from '../lab/ping.ts';
import { INNER, type TunnelPair } from '../lab/tunnel-pair.ts';
import { startIperf } from './iperf.ts';
import { measureInTurn, quantile } from './measure.ts';
import type { Figure, Options } from './options.ts';

const INTERVAL = 0.005;

/** Milliseconds of every answer. */
async function measurePing(pair: TunnelPair, seconds: number): Promise<number[]> {
  const count = Math.round(seconds / INTERVAL);
  const times = await ping(pair.west, INNER.right, count, INTERVAL);
  if (times.length < count / 2) throw new Error(`ping: half of ${count} were lost`);
  return times;
}

export async function latency(options: Options): Promise<Figure[]> {
  const medians = await measureInTurn(
    options,
    async (pair, seconds = 3) => {
      const idle = await measurePing(pair, seconds);
      // One second is the stream's start-up, one more the answers to the last probes.
      const stream = await startIperf(pair, seconds + 2);
      await ping(pair.west, INNER.right, 10, 0.1);
      const loaded = await measurePing(pair, seconds);
      await stream.process.stop('SIGINT');
      await stream.done.catch(() => undefined);
      return {
        'idle p50': quantile(idle, 0.5),
        'idle p99': quantile(idle, 0.99),
        'loaded p50': quantile(loaded, 0.5),
        'loaded p99': quantile(loaded, 0.99),
      };
    },
    (value) => value.toFixed(3),
  );
  return Object.entries(medians).map(([part, values]) => {
    return { part, ...values, unit: 'ms', budget: { most: 1.0 }, against: 'ratio' };
  });
}
