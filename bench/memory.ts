/**
 * Resident memory of the daemon: idle, and with 1,000 peers and 10,000 allowed IPs; and of the idle gateway
 * of a small mesh.
 */
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { Device } from '../lab/device.ts';
import { type Implementation, ours, stock } from '../lab/implementation.ts';
import { generateKeyPair } from '../lab/keys.ts';
import { Lab } from '../lab/lab.ts';
import { MeshLab, type Site } from '../lab/mesh-lab.ts';
import { reach } from '../lab/ping.ts';
import type { Figure, Options } from './options.ts';

const PEERS = 1000;
const PREFIXES_OF_A_PEER = 10;
const START_IS_OVER = 2_500; // ms

/** Megabytes (10^6). */
function residentMemory(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return (Number(/VmRSS:\s*(\d+) kB/.exec(status)![1]) * 1024) / 1e6;
}

async function measure(implementation: Implementation): Promise<{ idle: number; loaded: number }> {
  await using lab = new Lab();
  const device = await Device.start(await lab.namespace('memory'), implementation);
  await device.up(['10.77.0.1/24']);
  await device.configure(51820);
  await device.peers();
  // Idle begins when the start is over: what it compiled is given back a second later.
  await delay(START_IS_OVER);
  const idle = residentMemory(device.process.pid);
  const peers = Array.from({ length: PEERS }, (_, i) => ({
    publicKey: generateKeyPair().publicKey,
    endpoint: `10.9.${i >> 8}.${i & 255}:51820`,
    allowedIps: Array.from({ length: PREFIXES_OF_A_PEER }, (_, k) => {
      const n = i * PREFIXES_OF_A_PEER + k;
      return k % 2 === 0 ? `10.${n >> 8}.${n & 255}.0/24` : `fd00:${n.toString(16)}::/64`;
    }),
  }));
  await device.configure(51820, ...peers);
  const configured = await device.peers();
  if (configured.length !== PEERS) throw new Error(`${configured.length} peers, not ${PEERS}`);
  return { idle, loaded: residentMemory(device.process.pid) };
}

/** Of `connector up` with one peer, whose site it reaches through the relay. */
async function measureGateway(): Promise<number> {
  await using mesh = await MeshLab.open({ name: 'a', number: 1 }, { name: 'b', number: 2 });
  await mesh.startEdge();
  await mesh.joinAll();
  const [a, b] = mesh.sites as [Site, Site];
  await reach(a.host, b.address[4], 30);
  await delay(START_IS_OVER);
  return residentMemory((await a.status()).pid);
}

export async function memory(options: Options): Promise<Figure[]> {
  const mine = await measure(ours());
  const reference = options.noPeer ? undefined : stock();
  const peer = reference ? await measure(reference) : undefined;
  const gateway = await measureGateway();
  const figure = (part: 'idle' | 'loaded', most: number): Figure => {
    return {
      part,
      ours: mine[part],
      peer: peer?.[part],
      unit: 'MB',
      budget: { most },
      against: 'value',
    };
  };
  const idle = { ours: gateway, unit: 'MB', budget: { most: 90 }, against: 'value' } as const;
  return [figure('idle', 90), figure('loaded', 160), { part: 'gateway', ...idle }];
}
