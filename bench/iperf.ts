/** iperf3 from the left to the right namespace of a pair, or from one host to another. */
import type { Process } from '../lab/process.ts';
import { type Ends, INNER } from '../lab/tunnel-pair.ts';

export interface Stream {
  /** Resolves with Mbit/s received, both directions summed up. */
  readonly done: Promise<number>;
  readonly process: Process;
}

/** Starts a server for one test, then the client against it. */
export async function startIperf(
  pair: Ends,
  seconds: number,
  options: readonly string[] = [],
  to: string = INNER.right,
): Promise<Stream> {
  const server = pair.east.start(['iperf3', '-s', '-1', '-B', to, '--forceflush']);
  await server.line(/Server listening/);
  const command = ['iperf3', '-c', to, '-t', String(seconds), '-O', '1', '-J'];
  const client = pair.west.start([...command, ...options]);
  const finish = async (): Promise<number> => {
    const code = await client.exited;
    await server.exited;
    // The report is longer than the lines that are kept of a process; only its end matters.
    const text = client.lines.join('\n');
    if (code !== 0) throw new Error(`iperf3: ${/"error":\s*"(.*)"/.exec(text)?.[1] ?? text}`);
    const received = [...text.matchAll(/"sum_received(?:_bidir_reverse)?":\s*\{([^}]*)\}/g)];
    const bits = received.map(([, sum]) =>
      Number(/"bits_per_second":\s*([\d.e+]+)/.exec(sum!)![1]),
    );
    return bits.reduce((a, b) => a + b, 0) / 1e6;
  };
  return { process: client, done: finish() };
}

/** Mbit/s of TCP through the pair. */
export async function measureThroughput(
  pair: Ends,
  seconds: number,
  options?: readonly string[],
  to?: string,
): Promise<number> {
  const stream = await startIperf(pair, seconds, options, to);
  return stream.done;
}
