/** A number for an address, to be compared and counted without making text of it. Pure. */
import type { Family } from '../../routing/address.ts';
import { readIpv4 } from '../../routing/packet.ts';

/** IPv4: the address itself. IPv6: a hash (FNV-1a of 32 bits), beyond those. */
export function hostNumber(family: Family, address: Uint8Array): number {
  if (family === 4) return readIpv4(address, 0);
  let hash = 0x811c9dc5;
  for (let i = 0; i < 16; i++) hash = Math.imul(hash ^ address[i]!, 0x01000193);
  return 0x1_0000_0000 + (hash >>> 0);
}
