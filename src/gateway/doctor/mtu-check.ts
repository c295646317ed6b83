/** Whether the interface's packets fit into the way out, sealed. Pure. */
import { TUNNEL_OVERHEAD } from '../../tun/link.ts';
import { type Finding, ok, skipped, warning } from './finding.ts';
import type { HostFacts } from './host-facts.ts';
import type { GatewayScope } from './scope.ts';

/** Below it no interface has IPv6. */
const LEAST_MTU = 1_280;

export function checkMtu({ mtu }: GatewayScope, { routes, links }: HostFacts): Finding {
  const ways = new Set(
    routes.filter(({ prefix }) => prefix.length === 0).map(({ interfaceName }) => interfaceName),
  );
  const out = links.filter(({ name }) => ways.has(name)).toSorted((a, b) => a.mtu - b.mtu)[0];
  if (out === undefined) return skipped('mtu', 'There is no default route.');
  const fits = out.mtu - TUNNEL_OVERHEAD;
  if (mtu <= fits) return ok('mtu', `${mtu} fits into ${out.name}'s ${out.mtu}.`);
  const raise = `aise ${out.name}'s MTU.`;
  const remedy = mtu > LEAST_MTU ? `Leave it to \`--mtu auto\`, or r${raise}` : `R${raise}`;
  return warning(
    'mtu',
    `The mesh's MTU is ${mtu}, and ${out.name}, the way out, takes at most ${fits} (${out.mtu} less ${TUNNEL_OVERHEAD}): larger packets are cut or refused here, path by path. ${remedy}`,
  );
}
