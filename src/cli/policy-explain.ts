/** `connector policy explain SRC DST PROTO [PORT]`: which rule decides a flow, and why. */
import { Argument, type Command } from 'commander';
import { PROTOCOL_NAMES } from '../control/policy/services.ts';
import type { PolicyExplanation } from '../control/policy-api.ts';
import { print } from './output.ts';
import { edgePolicyCommand, type PolicyOptions, policyPath } from './policy-request.ts';
import { formatFields } from './table.ts';

export function policyExplainCommand(): Command {
  return edgePolicyCommand('explain')
    .description('whether a flow is allowed, and which rule decides that')
    .argument('<source>', 'an address, or a connector for its mesh IP')
    .argument('<destination>', 'the same')
    .addArgument(new Argument('<proto>', 'protocol of the flow').choices(PROTOCOL_NAMES))
    .argument('[port]', 'of the destination; for icmp, a type (default: echo-request)')
    .action(explain);
}

async function explain(
  source: string,
  destination: string,
  protocol: string,
  port: string | undefined,
  options: PolicyOptions,
): Promise<void> {
  const { openEdge } = await import('./edge-request.ts');
  const { policyExplanationSchema } = await import('../control/policy-api.ts');
  const service = protocol === 'icmp' ? { icmp: port } : { port };
  const path = await policyPath(options, '/explain');
  const query = { source, destination, protocol, ...service };
  const explanation = await openEdge(options).get(path, policyExplanationSchema, query);
  print(options, explanation, () => formatExplanation(explanation));
}

export function formatExplanation(explanation: PolicyExplanation): string {
  const { verdict, flow, vnet, version, why, text, logged } = explanation;
  const whose = (names: readonly string[]): string => names.join(', ') || '(the Internet)';
  const inForce = version === 0 ? 'there is no policy' : `version ${version} of the policy`;
  return formatFields([
    ['flow', flow],
    ['verdict', verdict],
    ['because', why],
    ...(text === null ? [] : [['rule', text] as const]),
    ...(logged.length === 0 ? [] : [['logged by', `rule ${logged.join(', ')}`] as const]),
    ['source of', whose(explanation.sourceConnectors)],
    ['destination of', whose(explanation.destinationConnectors)],
    ['vnet', `${vnet.name}, ${inForce}`],
  ]);
}
