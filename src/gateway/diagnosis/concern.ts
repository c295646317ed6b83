/**
 * Which questions of another gateway are answered, so that nobody maps a network by asking:
 *
 *  1. The asker is the connector whose mesh IP the connection comes from; others are not answered.
 *  2. One address of the flow is the asker's own, as the netmap here has it: its mesh IP, or one that the
 *     longest prefix around it gives to the asker.
 *  3. The other is this connector's: its mesh IP, or in an approved prefix of it. The Internet is of those
 *     that have an approved default route, as far as the host sends it there (explain/kernel-facts.ts).
 *  4. What the policy here denies for the flow, the kernel is not asked about: the asker hears that it is
 *     denied, and not whether such a host exists.
 *
 * So an asker hears of hosts that it may send packets to anyway. Pure.
 */
import type { Netmap, NetmapPeer } from '../../control/netmap.ts';
import { numericAddress } from '../../control/policy/address-set.ts';
import { formatAddress, parseAddress } from '../../routing/address.ts';
import { findCarriers } from '../explain/address-carriers.ts';
import type { FlowRequest } from './protocol.ts';

/** Id and name of the connector with this mesh IP; undefined = it is nobody's. */
export function askerOf(
  { peers }: Netmap,
  source: string,
): Pick<NetmapPeer, 'connector' | 'name'> | undefined {
  const parsed = parseAddress(source.replace(/^::ffff:(?=[0-9.]+$)/, ''));
  if (parsed === undefined) return undefined;
  const text = `${formatAddress(parsed.address)}/${parsed.address.length * 8}`;
  return peers.find(({ mesh }) => mesh.ipv4 === text || mesh.ipv6 === text);
}

export type Concern =
  | { readonly near: string; readonly far: string }
  | { readonly refused: 'not-yours' | 'not-ours' };

/** @param asker id of its connector */
export function concernOf(netmap: Netmap, asker: string, flow: FlowRequest): Concern | undefined {
  const source = numericAddress(flow.source);
  const destination = numericAddress(flow.destination);
  if (source === undefined || destination?.family !== source.family) return undefined;
  const sourceOwners = findCarriers(netmap, source).carriers;
  const destinationOwners = findCarriers(netmap, destination).carriers;
  const own = netmap.self.connector;
  if (sourceOwners.includes(asker)) {
    if (!destinationOwners.includes(own)) return { refused: 'not-ours' };
    return { near: flow.destination, far: flow.source };
  }
  if (destinationOwners.includes(asker)) {
    if (!sourceOwners.includes(own)) return { refused: 'not-ours' };
    return { near: flow.source, far: flow.destination };
  }
  return { refused: 'not-yours' };
}
