/**
 * Whether a host of the LAN is there, as the kernel's neighbour table has it (ARP, RFC 826; neighbour
 * discovery, RFC 4861). It asks by the link's own means: no IP packet is sent.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { ipJson, type JsonObject, objectsOf, tryCommand } from '../../tun/command.ts';

/** ms until somebody who has not answered counts as silent: the kernel asks once a second. */
const PATIENCE = 1_500;
/** ms between two looks; each is a process. */
const LOOK_EVERY = 60;

type Neighbour = 'answers' | 'silent';

/** Undefined: the link has no neighbours to ask for, or asking failed. */
export async function askNeighbour(
  address: string,
  device: string,
  patience = PATIENCE,
): Promise<Neighbour | undefined> {
  const to = [address, 'dev', device];
  const known = stateOf(await ipJson(['neighbour', 'show', 'to', ...to]));
  if (known !== 'answers') {
    // What is known from before, and perhaps no more so, is asked again by itself.
    const ask = known === 'stale' ? ['nud', 'probe'] : ['nud', 'none', 'use'];
    const { code } = await tryCommand('ip', ['neighbour', 'replace', ...to, ...ask]);
    if (code !== 0) return undefined;
  }
  const deadline = performance.now() + patience;
  for (;;) {
    const state = stateOf(await ipJson(['neighbour', 'show', 'to', ...to]));
    if (state === 'answers' || state === 'silent') return state;
    if (state === 'none') return undefined;
    if (performance.now() > deadline) return 'silent';
    await delay(LOOK_EVERY);
  }
}

/** By the states of ip-neighbour(8). */
export function stateOf(entries: readonly JsonObject[]): Neighbour | 'stale' | 'asked' | 'none' {
  const [state] = entries.flatMap((entry) => (Array.isArray(entry.state) ? entry.state : []));
  if (state === 'REACHABLE' || state === 'PERMANENT') return 'answers';
  if (state === 'STALE' || state === 'DELAY') return 'stale';
  if (state === 'FAILED') return 'silent';
  return state === 'INCOMPLETE' || state === 'PROBE' ? 'asked' : 'none';
}

export interface Link {
  readonly device: string;
  readonly state: 'up' | 'down' | 'no-carrier';
  /** `10.2.0.1/24`, of both families. */
  readonly addresses: readonly string[];
  /** Whether hosts are found there by asking. */
  readonly asks: boolean;
}

/** All interfaces with their addresses. */
export async function readLinks(): Promise<Link[]> {
  return (await ipJson(['address', 'show'])).map(readLink);
}

export function readLink(entry: JsonObject): Link {
  const flags = Array.isArray(entry.flags) ? entry.flags : [];
  return {
    device: String(entry.ifname),
    state: !flags.includes('UP') ? 'down' : flags.includes('LOWER_UP') ? 'up' : 'no-carrier',
    addresses: objectsOf(entry.addr_info).map(({ local, prefixlen }) => `${local}/${prefixlen}`),
    asks: !['LOOPBACK', 'NOARP', 'POINTOPOINT'].some((flag) => flags.includes(flag)),
  };
}
