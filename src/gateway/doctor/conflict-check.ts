/** Subnets here that are also somewhere in the mesh: what is local wins. Pure. */
import { containsPrefix, formatPrefix } from '../../routing/prefix.ts';
import { planRoutes, type RouteConflict } from '../../routing/route-plan.ts';
import { type Finding, ok, warning } from './finding.ts';
import type { HostFacts } from './host-facts.ts';
import type { GatewayScope } from './scope.ts';

/** Of a gateway that does not run: those that there will be. */
export function checkConflicts({ remote }: GatewayScope, { routes }: HostFacts): Finding[] {
  return sayConflicts(planRoutes(remote, routes).conflicts);
}

/**
 * Routes of the host inside the prefixes of others: the longest prefix wins over both, so they take part
 * of one away. Somebody may mean that; what is inside a prefix of this site is meant.
 */
export function checkDetours({ remote, served }: GatewayScope, { routes }: HostFacts): Finding[] {
  return routes.flatMap(({ prefix, connected, interfaceName, via }) => {
    if (connected || prefix.length === 0) return [];
    if (served.some((own) => containsPrefix(own, prefix))) return [];
    // Equal prefixes are told with what is local.
    const around = remote.find((one) => one.length < prefix.length && containsPrefix(one, prefix));
    if (around === undefined) return [];
    const text = formatPrefix(prefix);
    const by = via === undefined ? '' : ` by ${via}`;
    return warning(
      'conflicts',
      `Of ${formatPrefix(around)} the part ${text} does not go into the mesh: a route of this host sends it to ${interfaceName}${by}, and the longer prefix wins. If nobody means that:`,
      `ip route del ${text}${via === undefined ? '' : ` via ${via}`} dev ${interfaceName}`,
    );
  });
}

export function sayConflicts(conflicts: readonly RouteConflict[]): Finding[] {
  if (conflicts.length === 0) return [ok('conflicts', 'No subnet here is one of another site.')];
  return conflicts.map((conflict) => warning('conflicts', describeConflict(conflict)));
}

function describeConflict({ prefix, local, outcome }: RouteConflict): string {
  const here = `${formatPrefix(local.prefix)} (${local.connected ? 'connected to' : 'routed by'} ${local.interfaceName})`;
  return outcome === 'not-installed'
    ? `${formatPrefix(prefix)} does not go into the mesh: ${here} is local, and local wins.`
    : `Of ${formatPrefix(prefix)} the part ${here} stays local.`;
}
