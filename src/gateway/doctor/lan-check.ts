/** Whether the gateway itself reaches the prefixes that it serves. Pure. */
import { formatPrefix } from '../../routing/prefix.ts';
import { type Finding, ok, problem, skipped, warning } from './finding.ts';
import type { HostFacts } from './host-facts.ts';
import { type LanLocation, locateLan } from './lan-location.ts';
import type { GatewayScope } from './scope.ts';

export function checkLan({ served }: GatewayScope, facts: HostFacts): Finding[] {
  if (served.length === 0) return [skipped('lan', 'This connector serves no prefix.')];
  const locations = served.map((prefix) => locateLan(prefix, facts));
  const said = locations.flatMap((location) => describe(location, locations));
  if (said.length > 0) return said;
  const where = locations.map(
    ({ prefix, interfaces }) => `${formatPrefix(prefix)} is behind ${interfaces.join(', ')}`,
  );
  return [ok('lan', `${where.join('; ')}.`)];
}

function describe(location: LanLocation, all: readonly LanLocation[]): Finding[] {
  const text = formatPrefix(location.prefix);
  const down = location.down.map((link) => {
    const effect = `the hosts of ${text} behind it are not reached`;
    if (!link.up) {
      // Somebody may have had a reason, a second gateway with the same address for example.
      const command = `ip link set dev ${link.name} up`;
      return problem('lan', `The interface ${link.name} is down: ${effect}.`, command);
    }
    const cure = 'See to its cable, its switch or its other end.';
    return problem('lan', `The interface ${link.name} has no carrier: ${effect}. ${cure}`);
  });
  if (down.length > 0 || location.how === 'here') return down;
  if (location.how === 'nowhere') {
    return [
      problem(
        'lan',
        `No route of this host leads to ${text}, which this connector serves: the interface to it is not there, or has no address. Give it one, or add a route.`,
        `ip route add ${text} via ROUTER`,
      ),
    ];
  }
  // A router of the site, by which further subnets of it are reached, may well be the default route.
  const siteLinks = new Set(
    all.filter(({ how }) => how === 'here').flatMap(({ interfaces }) => interfaces),
  );
  if (location.interfaces.some((name) => siteLinks.has(name))) return [];
  return [
    warning(
      'lan',
      `${text}, which this connector serves, is reached by nothing but the default route by ${location.interfaces.join(', ')}. If it is behind the router there, all is well; else the interface to it is not there, or has no address, or a route is missing:`,
      `ip route add ${text} via ROUTER`,
    ),
  ];
}
