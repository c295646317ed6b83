/**
 * The kernel's settings that let packets through, or do not. Pure.
 *
 * - Forwarding: ip_forward, and for IPv6 the setting of all interfaces.
 * - A host that forwards IPv6 does not listen to router advertisements any more, and the kernel takes
 *   away the default route that it has from them, unless accept_ra is 2. A route that a program made
 *   from advertisements (accept_ra is 0 then) stays.
 * - rp_filter: the larger of the interface's value and that of `all` counts; 1 is strict.
 * - send_redirects: either of the two switches it on. A gateway that sends its hosts' packets to the
 *   Internet out by the interface that they came from tells the hosts to go to the router themselves;
 *   they keep that, also when the destination becomes one of the mesh.
 */

import { FORWARDING } from '../../tun/sysctl.ts';
import { type Finding, fixable, ok, problem, skipped, warning } from './finding.ts';
import { type HostFacts, settingsOf } from './host-facts.ts';
import { locateLan } from './lan-location.ts';
import type { GatewayScope } from './scope.ts';
import { settingFix, settingName } from './setting-fix.ts';

const FAMILIES = [4, 6] as const;

export function checkSettings(scope: GatewayScope, facts: HostFacts): Finding[] {
  return [
    ...checkForwarding(scope, facts),
    ...checkAdvertisements(scope, facts),
    ...checkReversePath(scope, facts),
    ...checkRedirects(scope, facts),
  ];
}

function checkForwarding({ served }: GatewayScope, { settings }: HostFacts): Finding[] {
  const families = FAMILIES.filter((family) => served.some((prefix) => prefix.family === family));
  if (families.length === 0) return [skipped('forwarding', 'This connector serves no prefix.')];
  const off = families.filter((family) => settings(FORWARDING[family]) === '0');
  if (off.length === 0) return [ok('forwarding', `On for IPv${families.join(' and IPv')}.`)];
  return off.map((family) => {
    const path = FORWARDING[family];
    const says = `${settingName(path)} is 0: the hosts of this site are not forwarded.`;
    return fixable(problem('forwarding', says), [settingFix(path, '1', '0')]);
  });
}

/** Interfaces whose IPv6 default route the kernel takes away when it forwards. */
export function advertisedLinks({ routes, settings }: HostFacts): string[] {
  const names = routes
    .filter(({ prefix, advertised }) => advertised && prefix.family === 6 && prefix.length === 0)
    .map(({ interfaceName }) => interfaceName)
    .filter((name) => settings(settingsOf(name).acceptAdvertisements) === '1');
  return [...new Set(names)];
}

function checkAdvertisements({ served }: GatewayScope, facts: HostFacts): Finding[] {
  if (!served.some(({ family }) => family === 6)) {
    return [skipped('accept-ra', 'This connector serves no IPv6 prefix.')];
  }
  const links = advertisedLinks(facts);
  if (links.length === 0) return [ok('accept-ra', 'No default route depends on it.')];
  return links.map((name) => {
    const says = `${name} has its IPv6 default route from router advertisements, and accept_ra is 1: the kernel drops that route when it forwards.`;
    const fix = settingFix(settingsOf(name).acceptAdvertisements, '2', '1');
    return fixable(warning('accept-ra', says), [fix]);
  });
}

function checkReversePath({ interfaceName }: GatewayScope, { settings }: HostFacts): Finding[] {
  const path = settingsOf(interfaceName).reversePath;
  const own = settings(path);
  if (own === undefined) return [skipped('reverse-path', `${interfaceName} is not there.`)];
  const all = settings(settingsOf('all').reversePath) ?? '0';
  if (Math.max(Number(own), Number(all)) !== 1) {
    return [ok('reverse-path', `Not strict on ${interfaceName}.`)];
  }
  const says = `rp_filter is strict on ${interfaceName}: packets from sources that are not routed into the mesh here are dropped.`;
  return [fixable(problem('reverse-path', says), [settingFix(path, '2', own)])];
}

function checkRedirects({ served }: GatewayScope, facts: HostFacts): Finding[] {
  const { routes, settings } = facts;
  const lan = served
    .filter(({ family }) => family === 4)
    .flatMap((prefix) => {
      const { how, interfaces } = locateLan(prefix, facts);
      return how === 'here' ? interfaces : [];
    });
  const oneArmed = routes
    .filter(({ prefix }) => prefix.family === 4 && prefix.length === 0)
    .map(({ interfaceName }) => interfaceName)
    .find((name) => lan.includes(name));
  if (oneArmed === undefined) {
    return [ok('redirects', 'The site and the Internet are not behind one interface.')];
  }
  const paths = ['all', oneArmed].map((name) => settingsOf(name).sendRedirects);
  const on = paths.filter((path) => settings(path) === '1');
  if (on.length === 0) return [ok('redirects', `${oneArmed} sends none.`)];
  const says = `${oneArmed} is the way to the site and to the Internet, and this host tells the site's hosts to go to the router by themselves (ICMP redirects): they go on with that when the destination becomes one of the mesh.`;
  return [
    fixable(
      warning('redirects', says),
      on.map((path) => settingFix(path, '0', '1')),
    ),
  ];
}
