/** Round-trip times of ping through the tunnel: idle, and while one TCP stream fills it. */
import { startIperf } from './iperf.ts';
import { measureInTurn, quantile } from './measure.ts';
import type { Figure, Options } from './options.ts';
import { INNER, type SitePair } from './site-pair.ts';

const INTERVAL = 0.005;

/** Milliseconds of every answer. */
async function ping(pair: SitePair, seconds: number): Promise<number[]> {
  const count = String(Math.round(seconds / INTERVAL));
  const command = ['ping', '-n', '-i', String(INTERVAL), '-c', count, INNER.right];
  const { stdout } = await pair.west.attempt(command);
  const times = [...stdout.matchAll(/time=([\d.]+) ms/g)].map(([, time]) => Number(time));
  if (times.length < Number(count) / 2) throw new Error(`ping: half of ${count} were lost`);
  return times;
}

export async function latency(options: Options): Promise<Figure[]> {
  const medians = await measureInTurn(
    options,
    async (pair, seconds = 3) => {
      const idle = await ping(pair, seconds);
      // One second is the stream's start-up, one more the end of the last answers.
      const stream = await startIperf(pair, seconds + 2);
      await pair.west.run(['ping', '-q', '-i', '0.1', '-c', '10', INNER.right]);
      const loaded = await ping(pair, seconds);
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
