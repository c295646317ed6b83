/** Which rule decides a flow, and why: the meaning of a policy. Everything else is tested against it. */
import type { AddressOwners } from './address-owners.ts';
import { contains, type NumericAddress } from './address-set.ts';
import type { Policy, Rule, Verdict } from './policy.ts';
import { Selection } from './selection.ts';
import { ICMP_TYPES, type IcmpName, type PortRange } from './services.ts';

/** What opens a flow; its answers belong to it. Both addresses are of one family. */
export interface Flow {
  readonly source: NumericAddress;
  readonly destination: NumericAddress;
  readonly protocol: number;
  /** Port of the destination, or the ICMP type; undefined for protocols that have neither. */
  readonly port: number | undefined;
}

export interface Explanation {
  readonly verdict: Verdict;
  /** Number of the rule that decides; undefined = none does, and the default holds. */
  readonly rule: number | undefined;
  /** Numbers of the `log` rules that it met before. */
  readonly logged: readonly number[];
  /** Ids of the connectors whose addresses they are. */
  readonly sourceConnectors: readonly string[];
  readonly destinationConnectors: readonly string[];
}

export class PolicyEvaluator {
  readonly #policy: Policy;
  readonly #owners: AddressOwners;
  readonly #selection: Selection;

  constructor(policy: Policy, owners: AddressOwners) {
    this.#policy = policy;
    this.#owners = owners;
    this.#selection = new Selection(policy, owners);
  }

  explain(flow: Flow): Explanation {
    const whose = {
      sourceConnectors: this.#owners.ownersOf(flow.source),
      destinationConnectors: this.#owners.ownersOf(flow.destination),
    };
    const logged: number[] = [];
    for (const [i, rule] of this.#policy.rules.entries()) {
      if (!this.#matches(rule, flow)) continue;
      if (rule.action !== 'log') return { verdict: rule.action, rule: i + 1, logged, ...whose };
      logged.push(i + 1);
    }
    return { verdict: this.#policy.default, rule: undefined, logged, ...whose };
  }

  #matches(rule: Rule, flow: Flow): boolean {
    return (
      matchesService(rule, flow) &&
      contains(this.#selection.of(rule.from), flow.source) &&
      contains(this.#selection.of(rule.to), flow.destination)
    );
  }
}

/** What a rule says of services; empty lists mean any. */
export interface Services {
  readonly protocols: readonly number[];
  readonly ports: readonly PortRange[];
  readonly icmp: readonly IcmpName[];
}

/** Whether protocol, port and ICMP type are among the rule's. */
export function matchesService(
  { protocols, ports, icmp }: Services,
  { source, protocol, port = -1 }: Flow,
): boolean {
  if (protocols.length > 0 && !protocols.includes(protocol)) return false;
  if (ports.length > 0 && !ports.some(([first, last]) => first <= port && port <= last)) {
    return false;
  }
  return icmp.length === 0 || icmp.some((name) => ICMP_TYPES[name][source.family] === port);
}
