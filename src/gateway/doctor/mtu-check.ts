/** Whether the interface's packets fit into the way out, sealed. Pure. */
import { TUNNEL_OVERHEAD } from '../../tun/link.ts';
import { type Finding, ok, skipped, warning } from './finding.ts';
import type { HostFacts } from './host-facts.ts';
import type { GatewayScope } from './scope.ts';

export function checkMtu({ mtu }: GatewayScope, { routes, links }: HostFacts): Finding {
  const ways = new Set(
    routes.filter(({ prefix }) => prefix.length === 0).map(({ interfaceName }) => interfaceName),
  );
  const out = links.filter(({ name }) => ways.has(name)).toSorted((a, b) => a.mtu - b.mtu)[0];
  if (out === undefined) return skipped('mtu', 'There is no default route.');
  const fits = out.mtu - TUNNEL_OVERHEAD;
  if (mtu <= fits) return ok('mtu', `${mtu} fits into ${out.name}'s ${out.mtu}.`);
  return warning(
    'mtu',
    `The mesh's MTU is ${mtu}, and ${out.name}, the way out, takes at most ${fits} (${out.mtu} less ${TUNNEL_OVERHEAD}): large packets do not arrive or leave in fragments. Set \`--mtu ${Math.max(fits, 1_280)}\`, or raise ${out.name}'s MTU.`,
  );
}
