/** A flow from site a to site b at which nothing is wrong, for tests to put something wrong into. */
import { numericAddress } from '../../../../src/control/policy/address-set.ts';
import type { Step } from '../../../../src/gateway/explain/explanation.ts';
import type {
  FlowCase,
  Session,
  Side,
  Silence,
} from '../../../../src/gateway/explain/flow-case.ts';
import {
  type KernelFacts,
  type Lookup,
  type SideFacts,
  sideFactsSchema,
} from '../../../../src/gateway/explain/side-facts.ts';
import { flowSteps } from '../../../../src/gateway/explain/steps/flow-steps.ts';

export const SOURCE = '10.1.0.10';
export const DESTINATION = '10.2.0.10';

export function sent(device: string, prefix: string, gateway: string | null = null): Lookup {
  return { result: 'sent', device, gateway, prefix };
}

export function refused(result: Lookup['result']): Lookup {
  return { result, device: null, gateway: null, prefix: null };
}

/** @param n number of the site: its LAN is 10.n.0.0/24 */
export function kernelFacts(n: number, far: number, more: Partial<KernelFacts> = {}): KernelFacts {
  const near = sent('lan0', `10.${n}.0.0/24`);
  const away = sent('causeway0', `10.${far}.0.0/24`);
  return {
    own: false,
    toNear: { forwarded: near, own: near },
    toFar: { forwarded: away, own: away },
    lan: { device: 'lan0', state: 'up', connected: true },
    neighbour: 'answers',
    forwarding: true,
    strict: [],
    filters: [],
    rewrites: [],
    filtersRead: true,
    ...more,
  };
}

export function sideFacts(n: number, far: number, more: Partial<SideFacts> = {}): SideFacts {
  const names = ['', 'a', 'b'];
  // Through the schema, so that no test is about facts that no gateway can send.
  return sideFactsSchema.parse({
    connector: names[n],
    vnet: 'default',
    device: 'causeway0',
    revision: 7,
    serving: true,
    near: { kind: 'route', prefix: `10.${n}.0.0/24` },
    far: {
      chosen: { connector: names[far], prefix: `10.${far}.0.0/24`, priority: 100 },
      others: [],
      local: null,
    },
    policy: { version: 0, verdict: 'allow', rule: null, fault: null },
    path: { kind: 'relayed', mtu: 1_280 },
    kernel: kernelFacts(n, far),
    ...more,
  });
}

export interface CasePlan {
  readonly a?: Partial<SideFacts>;
  readonly b?: Partial<SideFacts>;
  readonly hereIs?: FlowCase['hereIs'];
  readonly silence?: Silence;
  readonly session?: Partial<Session>;
  readonly alone?: true;
  readonly serviceGiven?: boolean;
}

export function stepsOf(plan: CasePlan = {}): Step[] {
  const { hereIs = 'origin', silence } = plan;
  const a: Side = {
    ...{ name: 'a', near: SOURCE, far: DESTINATION },
    facts: sideFacts(1, 2, plan.a),
  };
  const b: Side = {
    ...{ name: 'b', near: DESTINATION, far: SOURCE },
    facts: sideFacts(2, 1, plan.b),
  };
  const [here, there] = hereIs === 'origin' ? [a, b] : [b, a];
  return flowSteps({
    source: SOURCE,
    destination: DESTINATION,
    flow: {
      source: numericAddress(SOURCE)!,
      destination: numericAddress(DESTINATION)!,
      ...{ protocol: 6, port: 22 },
    },
    service: 'tcp 22',
    serviceGiven: plan.serviceGiven ?? true,
    here,
    hereIs,
    other: plan.alone ? undefined : { name: there.name, told: silence ?? there },
    session: {
      kind: 'relayed',
      path: 'relayed via edge (192.0.2.1:51820)',
      rtt: 12.34,
      mtu: 1_280,
      interfaceMtu: 1_420,
      handshake: 9,
      edgeSilent: false,
      ...plan.session,
    },
    ruleText: (number) => `{ "action": "deny", "comment": "${number}" }`,
  });
}

export function failedOf(steps: readonly Step[]): string[] {
  return steps.flatMap(({ step, at, state }) => (state === 'failed' ? `${step} at ${at}` : []));
}

/** The only step that failed. */
export function fault(plan: CasePlan): Step {
  const failed = stepsOf(plan).filter(({ state }) => state === 'failed');
  if (failed.length !== 1) throw new Error(`failed: ${failedOf(failed).join(', ') || 'none'}`);
  return failed[0]!;
}
