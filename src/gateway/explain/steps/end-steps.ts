/** Whether a gateway's site has the address at its end of the flow, and whether the host there answers. Pure. */
import type { Step } from '../explanation.ts';
import { failedStep, okStep, routeText, type Side, taken, uncheckedStep } from '../flow-case.ts';
import type { KernelFacts } from '../side-facts.ts';

/** `source` where the flow begins, `destination` where it ends. */
export function endStep(side: Side, step: 'source' | 'destination'): Step {
  const { name: at, near, facts } = side;
  const found = (text: string) => ({ step, at, text });
  const { kind, prefix } = facts.near;
  if (kind === 'pending') {
    return failedStep(
      found(`${near} is in ${prefix}, which ${at} advertises and which waits for approval.`),
      'Approve it.',
      'edge',
      `connector routes approve ${prefix} --connector ${at}`,
    );
  }
  if (!facts.serving) {
    const text = `${near} is ${at}'s, but this replica of ${at} stands by: another one carries its prefixes.`;
    return failedStep(found(text), 'Ask on the host that serves.', at);
  }
  const whose = kind === 'mesh' ? `the mesh IP of ${at}` : `in ${prefix}, which ${at} has`;
  if (facts.kernel === null && facts.policy.verdict === 'allow' && prefix?.endsWith('/0')) {
    const text = `${at} is a way out to the Internet, and does not send ${near} there: beside the Internet nothing passes but its own prefixes.`;
    const remedy = `If it is to be reached, its prefix has to be one of ${at}: \`connector routes add PREFIX --connector ${at}\`.`;
    return failedStep(found(text), remedy, 'edge');
  }
  if (facts.kernel === null) {
    return uncheckedStep(step, at, `${near} is ${whose}; more ${at} does not tell about it.`);
  }
  if (facts.kernel.own) return okStep(step, at, `${near} is ${whose}: this gateway itself.`);
  return siteStep(side, facts.kernel, whose, found);
}

function siteStep(
  { name: at, near, facts }: Side,
  kernel: KernelFacts,
  whose: string,
  found: (text: string) => Pick<Step, 'step' | 'at' | 'text'>,
): Step {
  const { lan, neighbour } = kernel;
  if (lan?.state === 'down') {
    const text = `${near} is ${whose}, but the interface to it, ${lan.device}, is down.`;
    return failedStep(found(text), 'Set it up.', at, `ip link set ${lan.device} up`);
  }
  if (lan?.state === 'no-carrier') {
    const text = `${near} is ${whose}, but the interface to it, ${lan.device}, has no carrier.`;
    return failedStep(found(text), 'See to its cable, or the switch at its other end.', at);
  }
  const lookup = taken(kernel.toNear, kernel);
  if (lookup.result !== 'sent' || lookup.device === null) {
    const text = `${near} is ${whose}, but ${NO_WAY[lookup.result] ?? NO_WAY.failed}.`;
    const remedy = `Give this host an address in the subnet of ${near}, or a route to it by the router that has it.`;
    return failedStep(found(text), remedy, at);
  }
  if (lookup.device === facts.device) {
    const text = `${near} is ${whose}, but this host sends it into the mesh: another connector has it by a longer prefix or is preferred, and no interface here has its subnet.`;
    const remedy = `Give this host an address in the subnet of ${near}, or a route to it by the router that has it.`;
    return failedStep(found(text), remedy, at);
  }
  if (lan?.connected && lookup.device !== lan.device) {
    const text = `${near} is ${whose} and in the subnet of ${lan.device}, but this host sends it elsewhere, by ${lookup.device} (${routeText(lookup)}).`;
    const command = `ip route del ${routeText(lookup)}`;
    return failedStep(found(text), 'Take that route away.', at, command);
  }
  const hop = lookup.gateway === null ? near : `the router ${lookup.gateway}`;
  if (neighbour === 'silent') {
    const text = `${near} is ${whose}, but ${hop} does not answer on ${lookup.device}.`;
    const remedy = `Is ${hop} up, has it this address, and is it in the network of ${lookup.device}?`;
    return failedStep(found(text), remedy, at);
  }
  const answers = neighbour === 'answers' ? `, and ${hop} answers there` : '';
  const isDefault = lookup.prefix?.endsWith('/0') ? ' by the default route' : '';
  const by = lookup.gateway === null ? '' : ` by ${lookup.gateway}`;
  const leaving = facts.near.prefix?.endsWith('/0')
    ? ' It leaves with the address of this gateway there.'
    : isDefault && lookup.gateway !== null
      ? ` That is right only if ${near} is behind that router: nothing else of this host has a way to it.`
      : '';
  return okStep(
    found('').step,
    at,
    `${near} is ${whose}; it is behind ${lookup.device}${by}${isDefault}${answers}.${leaving}`,
  );
}

export const NO_WAY: Readonly<Record<string, string>> = {
  'no-route': 'this host has no route to it',
  unreachable: 'the route to it says "unreachable"',
  prohibited: 'the route to it says "prohibit"',
  rejected: 'the kernel drops it',
  failed: 'the kernel does not say where it goes',
};
