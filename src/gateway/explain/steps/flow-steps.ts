/** All steps of a flow, in the order in which a packet takes them, and its answer back. Pure. */
import type { Step } from '../explanation.ts';
import { type FlowCase, okStep, type Side, taken, uncheckedStep } from '../flow-case.ts';
import { endStep } from './end-steps.ts';
import { hostSteps } from './host-steps.ts';
import { meshRouteStep } from './mesh-route-steps.ts';
import { acceptStep, answerSteps, pathStep, unknownStep } from './peer-steps.ts';
import { policyStep, returnPolicyStep } from './policy-steps.ts';

export function flowSteps(flow: FlowCase): Step[] {
  const { here, hereIs, other } = flow;
  const told = 'facts' in other.told ? other.told : undefined;
  const origin = hereIs === 'origin' ? here : told;
  const target = hereIs === 'target' ? here : told;
  const ends = hereIs === 'origin' ? [here.name, other.name] : [other.name, here.name];
  const [from, to] = ends as [string, string];
  const answer = answerSteps(flow);
  const path = [pathStep(flow)];
  return [
    // Who is asked says so before what it says.
    ...(hereIs === 'target' ? answer : []),
    ...(origin === undefined
      ? [unknownStep(from, 'whether its hosts reach it, forwarding, firewall, route and policy')]
      : departure(origin, to, flow)),
    ...path,
    ...(hereIs === 'origin' ? answer : []),
    ...(target === undefined
      ? [unknownStep(to, 'policy, forwarding, firewall, its LAN, and the return route')]
      : arrival(target, from, flow)),
    ...(origin === undefined ? [] : [homecoming(origin)]),
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
