/** ICMP echo from a namespace. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Namespace } from './namespace.ts';

/** Between probes that a router has refused, in ms. */
const AFTER_REFUSAL = 100;

/**
 * Waits for the first answer of an address, for at most some seconds; fails without one. A router's
 * "unreachable" ends ping, but not the wait: the route may come with the next netmap.
 */
export async function reach(from: Namespace, address: string, seconds = 10): Promise<void> {
  const deadline = performance.now() + seconds * 1000;
  for (;;) {
    const left = Math.max(1, Math.ceil((deadline - performance.now()) / 1000));
    const probe = ['ping', '-n', '-q', '-c', '1', '-w', String(left), address];
    const { code, stdout } = await from.attempt(probe);
    if (code === 0) return;
    if (performance.now() > deadline) throw new Error(`${address} does not answer: ${stdout}`);
    await delay(AFTER_REFUSAL);
  }
}

/** Whether nothing answers within a second, on probes every 0.2 s. */
export async function isSilent(from: Namespace, address: string, ...options: string[]) {
  const command = ['ping', '-n', '-q', '-i', '0.2', '-c', '5', '-w', '1', ...options, address];
  const { stdout } = await from.attempt(command);
  return / 0 received/.test(stdout);
}

/**
 * Round-trip times in milliseconds of the answers to the first `count` probes, `interval` seconds
 * apart. Waits a few seconds for the last of them: by itself ping waits two round trips, which a busy
 * machine may take longer than.
 */
export async function ping(
  from: Namespace,
  address: string,
  count: number,
  interval = 0.01,
  size = 56,
): Promise<number[]> {
  const process = from.start(['ping', '-n', '-i', `${interval}`, '-s', `${size}`, address]);
  const times = new Map<number, number>();
  const look = (line: string): true | undefined => {
    const answer = /icmp_seq=(\d+) .*time=([\d.]+) ms/.exec(line);
    if (answer && Number(answer[1]) <= count) times.set(Number(answer[1]), Number(answer[2]));
    return times.size === count ? true : undefined;
  };
  // What is missing when the time is up is lost, which is for the caller to judge.
  await process.until(look, `${count} answers`, count * interval + 5).catch(() => undefined);
  await process.stop('SIGINT');
  return [...times.values()];
}
