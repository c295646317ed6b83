/** What was asked, understood: two addresses of one family and a service. Pure but for its errors. */

import type { Netmap } from '../../control/netmap.ts';
import { bytesOf } from '../../control/policy/address-set.ts';
import type { Flow } from '../../control/policy/evaluate.ts';
import { parseFlow } from '../../control/policy/policy-tests.ts';
import { hasPorts, PROTOCOLS } from '../../control/policy/services.ts';
import { CausewayError } from '../../errors.ts';
import { formatAddress } from '../../routing/address.ts';
import { type Question, questionSchema } from './explanation.ts';

export interface AskedFlow {
  /** Canonical. */
  readonly source: string;
  readonly destination: string;
  readonly flow: Flow;
  /** `tcp 22`, `icmp echo-request`. */
  readonly service: string;
  readonly serviceGiven: boolean;
}

/** @throws CausewayError USAGE, NOT_FOUND */
export function readQuestion(input: unknown): Question {
  const parsed = questionSchema.safeParse(input);
  if (parsed.success) return parsed.data;
  const { path, message } = parsed.error.issues[0]!;
  throw new CausewayError('USAGE', `${path.join('.') || 'The question'} is not valid: ${message}.`);
}

/** @throws CausewayError USAGE, NOT_FOUND */
export function understand(question: Question, netmap: Netmap): AskedFlow {
  const { source: from, destination: to, protocol = 'icmp', port } = question;
  if (port !== undefined && !hasPorts(PROTOCOLS[protocol][0])) {
    const text = `A port needs a protocol that has some: give --proto tcp or udp with --port ${port}.`;
    throw new CausewayError('USAGE', text);
  }
  const lookup = (name: string): Netmap['self']['mesh'] | undefined =>
    [netmap.self, ...netmap.peers].find((one) => one.name === name)?.mesh;
  let flow: Flow;
  try {
    flow = parseFlow({ from, to, protocol, port }, lookup, 'the flow');
  } catch (error) {
    if (!(error instanceof CausewayError)) throw error;
    const code = error.code === 'POLICY_UNKNOWN' ? 'NOT_FOUND' : 'USAGE';
    throw new CausewayError(code, error.message.replace('needs a port', 'needs a --port'));
  }
  const text = (side: Flow['source']): string => formatAddress(bytesOf(side));
  return {
    source: text(flow.source),
    destination: text(flow.destination),
    flow,
    service: protocol === 'icmp' ? 'icmp echo-request' : [protocol, port].join(' ').trim(),
    serviceGiven: question.protocol !== undefined,
  };
}
