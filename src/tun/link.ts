/** Which MTU the underlay leaves for a tunnel. */
import { ipJson, numberOf, objectsOf, stringOf } from './command.ts';

/** IPv6 40 + UDP 8 + WireGuard 32: what a tunnel packet costs at most. */
export const TUNNEL_OVERHEAD = 80;
export const ETHERNET_MTU = 1_500;
/** Of jumbo frames: a loopback's 65,536 is no underlay. */
const JUMBO_MTU = 9_000;
/** The least that IPv6 works with (RFC 8200 § 5). */
const LEAST_MTU = 1_280;

/**
 * The MTU for a tunnel to these endpoints (addresses as text), as wg-quick(8) chooses it: the
 * smallest of the routes there, of the default route if there is none, less the overhead.
 */
export async function chooseMtu(endpoints: readonly string[]): Promise<number> {
  let smallest = Number.POSITIVE_INFINITY;
  for (const endpoint of new Set(endpoints)) {
    smallest = Math.min(smallest, await routeMtu(['route', 'get', endpoint]));
  }
  if (smallest === Number.POSITIVE_INFINITY) {
    smallest = await routeMtu(['route', 'show', 'default']);
  }
  if (smallest === Number.POSITIVE_INFINITY) smallest = ETHERNET_MTU;
  return Math.max(Math.min(smallest, JUMBO_MTU) - TUNNEL_OVERHEAD, LEAST_MTU);
}

/** MTU of the first route that `ip` shows: its own, or that of its interface; infinite if none. */
async function routeMtu(args: readonly string[]): Promise<number> {
  const route = (await ipJson(args))[0];
  for (const metric of objectsOf(route?.metrics)) {
    const mtu = numberOf(metric, 'mtu');
    if (mtu !== undefined) return mtu;
  }
  const device = stringOf(route, 'dev');
  if (device === undefined) return Number.POSITIVE_INFINITY;
  const link = (await ipJson(['link', 'show', 'dev', device]))[0];
  return numberOf(link, 'mtu') ?? Number.POSITIVE_INFINITY;
}
