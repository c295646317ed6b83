/** What keeps Internet traffic from the connector that is to carry it. Pure. */
import { DEFAULT_ROUTES } from '../../control/breakout.ts';
import type { Netmap } from '../../control/netmap.ts';
import { type Finding, ok, problem, warning } from '../doctor/finding.ts';
import type { MeshStatus } from './mesh-status.ts';

/** Nothing where nobody asked for it. */
export function diagnoseBreakout(
  { breakout }: Pick<MeshStatus, 'breakout'>,
  netmap: Pick<Netmap, 'peers'> | undefined,
): Finding[] {
  if (breakout === null || netmap === undefined) return [];
  const { connectors, ipv4, ipv6 } = breakout;
  const refused = [
    ...(ipv4.way === 'refused' ? [DEFAULT_ROUTES[4]] : []),
    ...(ipv6.way === 'refused' ? [DEFAULT_ROUTES[6]] : []),
  ];
  const isKnown = (wanted: string): boolean =>
    netmap.peers.some(({ name, connector }) => name === wanted || connector === wanted);
  const strangers = connectors
    .filter((wanted) => !isKnown(wanted))
    .map((name) => {
      const text = `Internet traffic is to leave by ${name}, and no host of such a connector is in this virtual network: correct breakout, or let that host join.`;
      return warning('breakout', text);
    });
  if (refused.length === 0) {
    const said = `Internet traffic: IPv4 ${sayWay(ipv4)}, IPv6 ${sayWay(ipv6)}.`;
    return strangers.length > 0 ? strangers : [ok('breakout', said)];
  }
  const offering = connectors.find(isKnown);
  const offers = netmap.peers.some(({ name, connector, prefixes }) => {
    const isNamed = connectors.some((one) => one === name || one === connector);
    return isNamed && prefixes.some(({ prefix }) => refused.includes(prefix));
  });
  const consent =
    offering === undefined || offers
      ? ''
      : ` \`connector routes add ${refused[0]} --connector ${offering} --allow-default\` on the edge is its consent.`;
  const text = `Internet traffic of this site's hosts is refused (${refused.join(', ')}): nobody that breakout names offers that, or is heard from.${consent} With breakout-fallback "own" it goes this gateway's own way meanwhile.`;
  return [problem('breakout', text), ...strangers];
}

type Way = NonNullable<MeshStatus['breakout']>['ipv4'];

/** `by hq`. */
export function sayWay({ way, connector }: Way): string {
  return way === 'through' ? `by ${connector}` : way === 'own' ? 'its own way' : 'refused';
}
