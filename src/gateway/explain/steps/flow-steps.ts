/** All steps of a flow, in the order in which a packet takes them, and its answer back. Pure. */
import type { Step } from '../explanation.ts';
import { type FlowCase, okStep, type Side, taken, uncheckedStep } from '../flow-case.ts';
import { endStep } from './end-steps.ts';
import { hostSteps } from './host-steps.ts';
import { meshRouteStep } from './mesh-route-steps.ts';
import { acceptStep, answerStep, pathStep, unknownStep } from './peer-steps.ts';
import { policyStep, returnPolicyStep } from './policy-steps.ts';

export function flowSteps(flow: FlowCase): Step[] {
  const { here, hereIs, other } = flow;
  if (other === undefined) return lonelySteps(flow);
  const told = 'facts' in other.told ? other.told : undefined;
  const path = pathStep(here.name, other, flow.session);
  const answer = answerStep(other, here.facts.revision, flow.session);
  if (hereIs === 'origin') {
    return [
      ...departure(here, other.name, flow),
      path,
      answer,
      ...(told === undefined ? [unknownStep(other.name, ARRIVAL)] : arrival(told, here.name, flow)),
      homecoming(here),
    ];
  }
  return [
    // Who is asked says so before what it says.
    answer,
    ...(told === undefined
      ? [unknownStep(other.name, DEPARTURE)]
      : departure(told, here.name, flow)),
    path,
    ...arrival(here, other.name, flow),
    ...(told === undefined ? [] : [homecoming(told)]),
  ];
}

const ARRIVAL = 'policy, forwarding, firewall, its LAN, and the return route';
const DEPARTURE = 'whether its host reaches it, forwarding, firewall, route and policy';

/** The address at the other end is nobody's: there is no other gateway. */
function lonelySteps(flow: FlowCase): Step[] {
  const { here, hereIs } = flow;
  if (hereIs === 'origin') {
    return [
      endStep(here, 'source'),
      ...hostSteps(here),
      meshRouteStep(here, 'route', undefined),
      policyStep(here, flow),
    ];
  }
  return [
    acceptStep(here, undefined),
    policyStep(here, flow),
    ...hostSteps(here),
    endStep(here, 'destination'),
    meshRouteStep(here, 'return route', undefined),
  ];
}

function departure(origin: Side, to: string, flow: FlowCase): Step[] {
  return [
    endStep(origin, 'source'),
    ...hostSteps(origin),
    meshRouteStep(origin, 'route', to),
    policyStep(origin, flow),
  ];
}

function arrival(target: Side, from: string, flow: FlowCase): Step[] {
  return [
    acceptStep(target, from),
    policyStep(target, flow),
    ...hostSteps(target),
    endStep(target, 'destination'),
    meshRouteStep(target, 'return route', from),
    returnPolicyStep(target),
  ];
}

/** The answer, out of the mesh, to the host that it is for. */
function homecoming(origin: Side): Step {
  const { name: at, near, facts } = origin;
  const step = 'return';
  const { kernel } = facts;
  if (kernel === null) return uncheckedStep(step, at, `${at} does not tell where answers go.`);
  if (kernel.own) return okStep(step, at, `Answers are for this gateway itself (${near}).`);
  if (endStep(origin, 'source').state !== 'ok') {
    return uncheckedStep(step, at, `Answers go to ${near} when its way there is put right.`);
  }
  const { device, gateway } = taken(kernel.toNear, kernel);
  const by = gateway === null ? '' : ` by ${gateway}`;
  return okStep(step, at, `Answers leave the mesh for ${near} by ${device}${by}.`);
}
