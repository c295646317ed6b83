/** The first handshake with an edge is waited for, so that peers behind it are reached at once. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Log } from '../log.ts';
import type { Tunnel } from '../tunnel.ts';

const TIMEOUT_MS = 1_000;
const POLL_MS = 5;

/** Resolves when one has answered; in vain, and said so, if none can be reached. */
export async function firstHandshake(tunnel: Tunnel, log: Log): Promise<void> {
  const deadline = performance.now() + TIMEOUT_MS;
  while (performance.now() < deadline) {
    if (tunnel.snapshot().peers.some(({ lastHandshake }) => lastHandshake > 0)) return;
    await delay(POLL_MS);
  }
  log.warn('no edge has answered yet');
}
