/** What the policy in force at a gateway says of the flow, in the words of `connector policy explain`. Pure. */
import { describeDecision } from '../../../control/policy/policy-tests.ts';
import { formatRuleText } from '../../../control/policy/rule-text.ts';
import type { Step } from '../explanation.ts';
import { type FlowCase, failedStep, okStep, type Side, uncheckedStep } from '../flow-case.ts';

export function policyStep(side: Side, flow: FlowCase): Step {
  const { name: at } = side;
  const { version, verdict, rule, fault } = side.facts.policy;
  const step = 'policy';
  if (fault === 'closed') {
    const text = `The policy cannot be put in place at ${at}, so nothing passes there to or from other connectors.`;
    const remedy = '`connector status` says why; it needs nftables 1.0 or later.';
    return failedStep({ step, at, text }, remedy, at);
  }
  if (version === 0) return okStep(step, at, 'There is no policy: everything is allowed.');
  const isKnown = side === flow.here || version === flow.here.facts.policy.version;
  const written = rule !== null && isKnown ? flow.ruleText(rule) : undefined;
  const why = describeDecision({ verdict, rule: rule ?? undefined });
  const earlier =
    fault === 'earlier' ? ' It could not be put in place yet: the one before is in force.' : '';
  const text = `Version ${version}: ${why}${written === undefined ? '' : `: ${written}`}.${earlier}`;
  if (verdict === 'allow') return okStep(step, at, text);
  const where = rule === null ? 'to the rules' : `before rule ${rule}`;
  const hint = flow.serviceGiven ? '' : ' This was about a ping: give --proto and --port.';
  const remedy = `If it is to pass, add ${allowing(flow)} ${where} (\`connector policy get\`, \`set\`).${hint}`;
  return failedStep({ step, at, text }, remedy, 'edge');
}

/** Answers are judged as the flow that they belong to. */
export function returnPolicyStep(side: Side): Step {
  const { version, verdict } = side.facts.policy;
  const step = 'return policy';
  if (verdict === 'deny') {
    return uncheckedStep(step, side.name, 'Answers belong to the flow, which is denied.');
  }
  const text =
    version === 0
      ? 'There is no policy: answers pass.'
      : 'Answers belong to the flow that is allowed, and pass; they need no rule of their own.';
  return okStep(step, side.name, text);
}

function allowing({ source, destination, service }: FlowCase): string {
  const [protocol, detail] = service.split(' ');
  const which =
    detail === undefined ? {} : protocol === 'icmp' ? { icmp: detail } : { ports: Number(detail) };
  return formatRuleText({ action: 'allow', from: source, to: destination, protocol, ...which });
}
