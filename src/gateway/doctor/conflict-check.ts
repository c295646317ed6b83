/** Subnets here that are also somewhere in the mesh: what is local wins. Pure. */
import { formatPrefix } from '../../routing/prefix.ts';
import { planRoutes, type RouteConflict } from '../../routing/route-plan.ts';
import { type Finding, ok, warning } from './finding.ts';
import type { HostFacts } from './host-facts.ts';
import type { GatewayScope } from './scope.ts';

/** Of a gateway that does not run: those that there will be. */
export function checkConflicts({ remote }: GatewayScope, { routes }: HostFacts): Finding[] {
  return sayConflicts(planRoutes(remote, routes).conflicts);
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
