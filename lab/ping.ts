/** ICMP echo from a namespace. */
import type { Namespace } from './namespace.ts';

/** Waits for the first answer of an address, for at most some seconds; fails without one. */
export async function reach(from: Namespace, address: string, seconds = 10): Promise<void> {
  await from.run(['ping', '-n', '-q', '-c', '1', '-w', String(seconds), address]);
}

/** Whether nothing answers within a second, on probes every 0.2 s. */
export async function isSilent(from: Namespace, address: string, ...options: string[]) {
  const command = ['ping', '-n', '-q', '-i', '0.2', '-c', '5', '-w', '1', ...options, address];
  const { stdout } = await from.attempt(command);
  return / 0 received/.test(stdout);
}

/** Round-trip times in milliseconds of the answers to `count` probes `interval` seconds apart. */
export async function ping(
  from: Namespace,
  address: string,
  count: number,
  interval = 0.01,
  size = 56,
): Promise<number[]> {
  const options = ['-c', count, '-i', interval, '-s', size, '-W', 2].map(String);
  const seconds = 30 + count * interval;
  const { stdout } = await from.attempt(['ping', '-n', ...options, address], { seconds });
  return [...stdout.matchAll(/time=([\d.]+) ms/g)].map(([, time]) => Number(time));
}
