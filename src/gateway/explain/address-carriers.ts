/**
 * Which connectors packets from or to one address go through, by one pass over the netmap: what
 * `AddressOwners.carriersOf` (control/policy) says, without its index of all prefixes, which takes a netmap
 * of 100,000 routes five times as long to make. Pure.
 */
import type { Netmap } from '../../control/netmap.ts';
import { bytesOf, type NumericAddress } from '../../control/policy/address-set.ts';
import { containsAddress, parsePrefix } from '../../routing/prefix.ts';

export interface Carriers {
  /** Ids of the connectors with the longest prefix around it; none where the Internet is. */
  readonly owners: readonly string[];
  /** The owners; or, of an address that is nobody's, those with a default route. */
  readonly carriers: readonly string[];
}

export function findCarriers({ self, peers }: Netmap, address: NumericAddress): Carriers {
  const bytes = bytesOf(address);
  let longest = 0;
  let owners = new Set<string>();
  const waysOut = new Set<string>();
  const look = (connector: string, text: string): void => {
    // Most are of the other family, or are parsed in vain: the text says which.
    if ((address.family === 6) !== text.includes(':')) return;
    const prefix = parsePrefix(text)!;
    if (prefix.length < longest || !containsAddress(prefix, bytes)) return;
    if (prefix.length === 0) waysOut.add(connector);
    else if (prefix.length > longest) {
      longest = prefix.length;
      owners = new Set([connector]);
    } else owners.add(connector);
  };
  const lookAtMesh = (connector: string, { ipv4, ipv6 }: Netmap['self']['mesh']): void =>
    look(connector, address.family === 4 ? ipv4 : ipv6);
  lookAtMesh(self.connector, self.mesh);
  for (const { prefix, approved } of self.routes) if (approved) look(self.connector, prefix);
  for (const { connector, mesh, prefixes } of peers) {
    lookAtMesh(connector, mesh);
    for (const { prefix } of prefixes) look(connector, prefix);
  }
  return { owners: [...owners], carriers: [...(owners.size > 0 ? owners : waysOut)] };
}
