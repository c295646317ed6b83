/** How a netmap's lists are ordered and left out: the same at the edge and in a gateway's copy. */
import type { Reserved } from './netmap.ts';

/** As a netmap has it: none is not there. */
export function reservedPart(reserved: readonly Reserved[]): { reserved?: Reserved[] } {
  return reserved.length === 0 ? {} : { reserved: [...reserved] };
}

/** Order of a netmap's peers. */
export function byReplica(a: { replica: string }, b: { replica: string }): number {
  return a.replica < b.replica ? -1 : a.replica > b.replica ? 1 : 0;
}

/** Order of a netmap's reserved addresses. */
export function byConnector(a: { connector: string }, b: { connector: string }): number {
  return a.connector < b.connector ? -1 : a.connector > b.connector ? 1 : 0;
}

/** Order of a peer's prefixes. */
export function byPrefix(a: { prefix: string }, b: { prefix: string }): number {
  return a.prefix < b.prefix ? -1 : a.prefix > b.prefix ? 1 : 0;
}
