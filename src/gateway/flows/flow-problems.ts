/**
 * What the one-way detector found and what ails the flow log, in sentences that say the probable cause
 * and what to do. Of our own site's hosts the neighbour table tells whether they are there at all.
 */
import { ipJson, stringOf } from '../../tun/command.ts';
import { isoTime } from './flow-entry.ts';
import type { Finding } from './one-way.ts';

export type Neighbours = 'up' | 'down' | 'unknown';

/** @param neighbours of the hosts that the finding names, where it is our own site's */
export function describeFinding(finding: Finding, neighbours: Neighbours): string {
  const { direction, about, prefix, connector, flows, hosts, named, known, since } = finding;
  const some = hosts > named.length ? `${named.join(', ')} and others` : named.join(', ');
  const before = known ? ', which did answer before' : '';
  const what = `${flows} connections to ${hosts} hosts there (${some})${before}`;
  if (direction === 'in') {
    return `What comes out of the mesh for ${prefix} at this site is not answered since ${isoTime(since)}: ${what}. ${HERE[neighbours]}`;
  }
  const start = `What is sent to ${prefix} of ${connector} does not come back since ${isoTime(since)}: ${what}.`;
  return about === 'peer'
    ? `${start} Nothing at all is heard from ${connector}: its gateway is down, or the way to it passes nothing. \`connector ping ${connector}\` tries it.`
    : `${start} The gateway of ${connector} itself is heard: the hosts behind it are down, their default gateway has no route back by it, or a firewall there drops this. \`connector status\` there says which.`;
}

/** Sentences about our own site. */
const HERE: Readonly<Record<Neighbours, string>> = {
  up: 'They are there (ARP or neighbour discovery finds them): their default gateway has no route back to the mesh by this host, or their own firewall drops it. Give them, or their default gateway, a route to the mesh by this host.',
  down: 'Neither ARP nor neighbour discovery finds them: they are down, or not in this subnet.',
  unknown:
    'They are down, or on their way back there is no route to the mesh by this host, or a firewall drops it.',
};

/** Whether the hosts that a finding names are there, as far as the kernel knows. */
export async function lookForNeighbours({ named }: Finding): Promise<Neighbours> {
  const states = await Promise.all(named.map(neighbourState));
  const known = states.filter((state) => state !== 'unknown');
  if (known.length < states.length || known.length === 0) return 'unknown';
  return known.every((state) => state === known[0]) ? known[0]! : 'unknown';
}

async function neighbourState(address: string): Promise<Neighbours> {
  try {
    const [entry] = await ipJson(['neigh', 'show', 'to', address]);
    if (entry === undefined) return 'unknown';
    return stringOf(entry, 'lladdr') === undefined ? 'down' : 'up';
  } catch {
    return 'unknown';
  }
}

export interface FlowLogState {
  readonly target: string;
  readonly written: number;
  /** Lines that were not taken. */
  readonly dropped: number;
  /** Times that the kernel had more events than could be read. */
  readonly lost: number;
  readonly fault: string | null;
}

export function describeLogFault({ target, dropped, fault }: FlowLogState): string[] {
  if (fault === null) return [];
  const lines = dropped === 1 ? '1 record is' : `${dropped} records are`;
  return [
    `The flow log cannot be written to ${target}: ${fault}. Traffic goes on, ${lines} missing so far; it goes on by itself when that is mended.`,
  ];
}
