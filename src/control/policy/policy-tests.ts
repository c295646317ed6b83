/** The test cases that an operator keeps in the policy: flows, and what must become of them. */
import { CausewayError } from '../../errors.ts';
import type { MeshAddresses } from '../netmap.ts';
import { numericAddress } from './address-set.ts';
import { type DocumentTest, describePath, type ParsedDocument } from './document.ts';
import type { Explanation, Flow, PolicyEvaluator } from './evaluate.ts';
import type { Verdict } from './policy.ts';
import { hasPorts, ICMP_TYPES, type IcmpName, PROTOCOLS, type ProtocolName } from './services.ts';

/** Mesh IPs of a connector; undefined = there is none of that name. */
export type MeshLookup = (name: string) => MeshAddresses | undefined;

export interface FlowText {
  /** Addresses, or connectors for their mesh IPs. */
  readonly from: string;
  readonly to: string;
  readonly protocol: ProtocolName;
  readonly port?: number | undefined;
  readonly icmp?: IcmpName | undefined;
}

export interface TestResult {
  readonly test: DocumentTest;
  /** From 1. */
  readonly number: number;
  readonly explanation: Explanation;
  readonly passed: boolean;
}

/** @throws CausewayError POLICY_SYNTAX, POLICY_UNKNOWN for a test that names nothing */
export function runPolicyTests(
  { document, where }: ParsedDocument,
  evaluator: PolicyEvaluator,
  lookup: MeshLookup,
): TestResult[] {
  return (document.tests ?? []).map((test, i) => {
    const path = ['tests', i];
    const flow = parseFlow(test, lookup, `${describePath(path)}${where(path)}`);
    const explanation = evaluator.explain(flow);
    return { test, number: i + 1, explanation, passed: explanation.verdict === test.expect };
  });
}

/** @throws CausewayError POLICY_TESTS for the first that fails */
export function checkTests(results: readonly TestResult[]): void {
  const failed = results.filter(({ passed }) => !passed);
  const first = failed[0];
  if (first === undefined) return;
  const { number, test, explanation } = first;
  const more = failed.length === 1 ? '' : ` ${failed.length - 1} more fail.`;
  throw new CausewayError(
    'POLICY_TESTS',
    `Test ${number} of the policy fails: ${formatFlow(test)} must be ${PAST[test.expect]}, and ${describeDecision(explanation)}.${more} Nothing was changed: correct the rules, or the test.`,
  );
}

const PAST: Readonly<Record<Verdict, string>> = { allow: 'allowed', deny: 'denied' };

/** `rule 3 denies it`, `no rule matches it and the default is deny`. */
export function describeDecision({ rule, verdict }: Pick<Explanation, 'rule' | 'verdict'>): string {
  if (rule === undefined) return `no rule decides it and the default is ${verdict}`;
  return `rule ${rule} ${verdict === 'allow' ? 'allows' : 'denies'} it`;
}

/** `10.1.0.7 → 10.2.0.9 tcp 22`. */
export function formatFlow({ from, to, protocol, port, icmp }: FlowText): string {
  return [from, '→', to, protocol, port ?? icmp].filter((part) => part !== undefined).join(' ');
}

/** @throws CausewayError POLICY_SYNTAX, POLICY_UNKNOWN; `what` begins the message */
export function parseFlow(text: FlowText, lookup: MeshLookup, what: string): Flow {
  const fault = (code: 'POLICY_SYNTAX' | 'POLICY_UNKNOWN', message: string): CausewayError => {
    return new CausewayError(code, `${what[0]!.toUpperCase()}${what.slice(1)}: ${message}.`);
  };
  const family = [text.from, text.to]
    .map((side) => numericAddress(side)?.family)
    .find((known) => known !== undefined);
  const resolve = (side: string): Flow['source'] => {
    const address = numericAddress(side);
    if (address !== undefined) return address;
    const mesh = lookup(side);
    if (mesh === undefined) {
      throw fault(
        'POLICY_UNKNOWN',
        `"${side}" is neither an address nor a connector of this network`,
      );
    }
    return numericAddress(hostOf(family === 6 ? mesh.ipv6 : mesh.ipv4))!;
  };
  const source = resolve(text.from);
  const destination = resolve(text.to);
  if (source.family !== destination.family) {
    throw fault('POLICY_SYNTAX', 'one address is IPv4 and the other is IPv6');
  }
  const isIcmp = text.protocol === 'icmp';
  const protocol = PROTOCOLS[text.protocol][isIcmp && source.family === 6 ? 1 : 0]!;
  if (hasPorts(protocol) !== (text.port !== undefined)) {
    const message = hasPorts(protocol)
      ? `${text.protocol} needs a port`
      : `${text.protocol} has no ports`;
    throw fault('POLICY_SYNTAX', message);
  }
  if (!isIcmp && text.icmp !== undefined) {
    throw fault('POLICY_SYNTAX', 'ICMP types need the protocol icmp');
  }
  const port = isIcmp ? ICMP_TYPES[text.icmp ?? 'echo-request'][source.family] : text.port;
  if (isIcmp && port === undefined) {
    throw fault('POLICY_SYNTAX', `IPv${source.family} has no ${text.icmp}`);
  }
  return { source, destination, protocol, port };
}

function hostOf(prefix: string): string {
  return prefix.slice(0, prefix.indexOf('/'));
}
