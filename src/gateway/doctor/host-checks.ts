/** The checks of the host, which need no daemon: `connector status` and `connector doctor` share them. */
import { checkConflicts, checkDetours } from './conflict-check.ts';
import { checkConnections } from './conntrack-check.ts';
import type { Finding } from './finding.ts';
import { checkForwardFilters } from './firewall-check.ts';
import { type HostFacts, readHostFacts } from './host-facts.ts';
import { checkLan } from './lan-check.ts';
import { checkMtu } from './mtu-check.ts';
import { checkAddresses } from './nat-check.ts';
import { checkOwnFilters } from './own-firewall-check.ts';
import type { GatewayScope } from './scope.ts';
import { checkSettings } from './setting-checks.ts';

export async function checkHost(scope: GatewayScope): Promise<Finding[]> {
  return checkFacts(scope, await readHostFacts(scope));
}

/** The same from facts that are known. Pure. */
export function checkFacts(scope: GatewayScope, facts: HostFacts): Finding[] {
  return [
    // A gateway that runs knows what it has installed.
    ...(scope.running ? [] : checkConflicts(scope, facts)),
    ...checkDetours(scope, facts),
    ...checkLan(scope, facts),
    ...checkSettings(scope, facts),
    ...checkForwardFilters(scope, facts),
    ...checkOwnFilters(scope, facts),
    ...checkAddresses(scope, facts),
    checkConnections(facts),
    checkMtu(scope, facts),
  ];
}
