/** Whether a gateway sends a packet into the mesh, and to the right connector: the flow's way, and its answers'. Pure. */
import type { Step } from '../explanation.ts';
import { failedStep, okStep, routeText, type Side, taken, uncheckedStep } from '../flow-case.ts';
import type { Holder, SideFacts } from '../side-facts.ts';
import { NO_WAY } from './end-steps.ts';

/**
 * `route` where the flow begins, `return route` where it ends.
 *
 * @param to name of the connector that is to get it; undefined = it is nobody's
 */
export function meshRouteStep(
  side: Side,
  step: 'route' | 'return route',
  to: string | undefined,
): Step {
  const { name: at, far, facts } = side;
  const { chosen, local } = facts.far;
  const found = (text: string) => ({ step, at, text });
  const offering = facts.far.others.filter(({ prefix }) => prefix?.endsWith('/0'));
  if (chosen === null && offering.length > 0) {
    const names = offering.map(({ connector }) => connector).join(', ');
    const text = `${far} is of the Internet: ${names} would take it, but this gateway's Internet traffic does not leave by another.`;
    const remedy = `If it is to leave there: \`breakout = ["${offering[0]!.connector}"]\` in connector.toml and a reload (SIGHUP), or \`--breakout ${offering[0]!.connector}\` at the next start.`;
    return failedStep(found(text), remedy, at);
  }
  if (chosen === null || to === undefined) {
    const text = `No connector of ${facts.vnet} has a route to ${far}.`;
    const remedy = `See whether one waits for approval (\`connector routes ls --state pending\`), or add one: \`connector routes add PREFIX --connector NAME\`. What is in another virtual network is not reached, and the Internet only by a connector that offers a default route.`;
    return failedStep(found(text), remedy, 'edge');
  }
  if (chosen.connector !== to) {
    const text = `${far} goes to ${chosen.connector}, not to ${to}: ${describeHolder(chosen)}${preferred(facts, to)}.`;
    const remedy = `Give ${to} a longer prefix or a lower priority number than ${chosen.connector}, if it is to have it.`;
    return failedStep(found(text), remedy, 'edge');
  }
  if (facts.kernel === null) {
    return uncheckedStep(step, at, `${far} is ${to}'s here too; more ${at} does not tell.`);
  }
  const lookup = taken(facts.kernel.toFar, facts.kernel);
  const isMesh = lookup.result === 'sent' && lookup.device === facts.device;
  if (isMesh) {
    const more = facts.far.others.length === 0 ? '' : ` ${lessPreferred(facts.far.others, chosen)}`;
    const text = `${describeHolder(chosen)}; the kernel sends it into ${facts.device}.${more}`;
    return okStep(step, at, text);
  }
  if (local?.connected) {
    const text = `${far} is local here: ${local.prefix} is the subnet of ${local.device ?? 'an interface'}, and a connected subnet wins over the mesh's ${chosen.prefix}.`;
    const remedy = `One of the two subnets has to get other addresses. If ${local.device ?? 'the interface'} does not need it, take its address there away.`;
    return failedStep(found(text), remedy, at);
  }
  if (lookup.result === 'local') {
    const text = `${far} is an address of this host itself.`;
    return failedStep(found(text), 'One of the two has to get another address.', at);
  }
  if (lookup.result !== 'sent') {
    const text = `${describeHolder(chosen)}, but ${NO_WAY[lookup.result] ?? NO_WAY.failed}.`;
    const remedy = "`connector status` says why the mesh's routes are not in place.";
    return failedStep(found(text), remedy, at);
  }
  const text = `${describeHolder(chosen)}, but this host sends it elsewhere, by ${lookup.device} (${routeText(lookup)}).`;
  return lookup.prefix?.endsWith('/0')
    ? failedStep(found(text), '`connector status` says why the route is not in place.', at)
    : failedStep(
        found(text),
        'Take that route away: a route of this host is preferred to the mesh.',
        at,
        `ip route del ${routeText(lookup)}`,
      );
}

/** `10.2.0.0/24 goes to b (priority 100)`. */
function describeHolder({ prefix, connector, priority }: Holder): string {
  return prefix === null
    ? `It is the mesh IP of ${connector}`
    : `${prefix} goes to ${connector} (priority ${priority})`;
}

/** Why it is not the one that was expected. */
function preferred({ far: { others, chosen } }: SideFacts, to: string): string {
  const other = others.find(({ connector }) => connector === to);
  if (other === undefined || chosen === null) return '';
  return `, ${reason(other, chosen)} ${other.prefix} of ${to} with priority ${other.priority}`;
}

function reason(other: Holder, chosen: Holder): string {
  if (other.prefix === chosen.prefix) return 'which is preferred to';
  return 'which is longer than';
}

function lessPreferred(others: readonly Holder[], chosen: Holder): string {
  const list = others.map((other) => {
    const why =
      other.prefix === chosen.prefix
        ? `priority ${other.priority}`
        : `the shorter ${other.prefix ?? 'range'}`;
    return `${other.connector} (${why})`;
  });
  return `Less preferred: ${list.join(', ')}.`;
}
