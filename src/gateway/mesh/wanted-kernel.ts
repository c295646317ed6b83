/** What the kernel is to have of a netmap. */
import type { Netmap } from '../../control/netmap.ts';
import { parsePrefix, prefixOf } from '../../routing/prefix.ts';
import type { EdgeEndpoints } from './edge-endpoints.ts';
import type { WantedKernel } from './mesh-kernel.ts';
import type { Wanted } from './netmap-translation.ts';

export function wantedKernel(
  netmap: Netmap,
  { addresses, prefixes }: Wanted,
  endpoints: EdgeEndpoints,
): WantedKernel {
  const outside = netmap.edges
    .flatMap(({ id }) => endpoints.of(id).all)
    .map(({ address }) => prefixOf(address, address.length * 8));
  const served = netmap.self.routes
    .filter(({ approved }) => approved)
    .map(({ prefix }) => parsePrefix(prefix)!);
  return { addresses, prefixes, outside, served };
}
