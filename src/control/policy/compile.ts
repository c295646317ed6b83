/**
 * What one replica has to enforce of its network's policy, as data: the rules that can concern a packet
 * that it carries, with addresses in place of connectors. What it carries comes from its connector's
 * addresses or goes there, or to the Internet if its connector is a way out.
 */
import type { Netmap } from '../netmap.ts';
import { type AddressHolder, AddressOwners } from './address-owners.ts';
import { type AddressSet, intersects, isEmpty } from './address-set.ts';
import type { Action, Policy, Verdict } from './policy.ts';
import { Selection } from './selection.ts';
import type { IcmpName, PortRange } from './services.ts';

export interface CompiledRule {
  /** Of the rule in the policy. */
  readonly number: number;
  readonly action: Action;
  /** The same object for the same addresses. */
  readonly from: AddressSet;
  readonly to: AddressSet;
  readonly protocols: readonly number[];
  readonly ports: readonly PortRange[];
  readonly icmp: readonly IcmpName[];
}

export interface RuleSet {
  readonly version: number;
  readonly default: Verdict;
  readonly rules: readonly CompiledRule[];
}

/** @param own id of the connector whose replica enforces it */
export function compilePolicy(policy: Policy, owners: AddressOwners, own: string): RuleSet {
  const selection = new Selection(policy, owners);
  const ours = owners.carriedBy(own);
  const rules = policy.rules.flatMap((rule, i): CompiledRule[] => {
    const { action, protocols, ports, icmp } = rule;
    const from = selection.of(rule.from);
    const to = selection.of(rule.to);
    if (isEmpty(from) || isEmpty(to)) return [];
    if (!intersects(from, ours) && !intersects(to, ours)) return [];
    return [{ number: i + 1, action, from, to, protocols, ports, icmp }];
  });
  return { version: policy.version, default: policy.default, rules };
}

/** Whose the addresses are, as a replica knows it. */
export function ownersOfNetmap({ self, peers, reserved = [] }: Netmap): AddressOwners {
  const own = self.routes.filter(({ approved }) => approved).map(({ prefix }) => prefix);
  const holders: AddressHolder[] = [
    { connector: self.connector, prefixes: [self.mesh.ipv4, self.mesh.ipv6, ...own] },
    ...peers.map(({ connector, mesh, prefixes }) => {
      const carried = prefixes.map(({ prefix }) => prefix);
      return { connector, prefixes: [mesh.ipv4, mesh.ipv6, ...carried] };
    }),
    ...reserved,
  ];
  return new AddressOwners(holders);
}
