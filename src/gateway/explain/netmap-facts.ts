/** What the netmap in force says of a flow: whose its addresses are, who carries them, what the policy says. Pure. */
import { isDefaultRoute } from '../../control/breakout.ts';
import type { Netmap } from '../../control/netmap.ts';
import { bytesOf, type NumericAddress } from '../../control/policy/address-set.ts';
import { ownersOfNetmap } from '../../control/policy/compile.ts';
import { type Explanation, type Flow, PolicyEvaluator } from '../../control/policy/evaluate.ts';
import {
  containsAddress,
  containsPrefix,
  formatPrefix,
  parsePrefix,
} from '../../routing/prefix.ts';
import type { MeshView } from '../mesh/mesh-view.ts';
import type { Wanted } from '../mesh/netmap-translation.ts';
import { findCarriers } from './address-carriers.ts';
import { deviceSchema, type Holder, type SideFacts } from './side-facts.ts';

const MOST_OTHERS = 4;

/** `here`: of this connector; otherwise names of those in the netmap whose the address is, if any. */
export interface Whose {
  readonly here: boolean;
  readonly others: readonly string[];
}

export function whoseIs(netmap: Netmap, address: NumericAddress): Whose {
  const { owners, carriers } = findCarriers(netmap, address);
  // What waits for approval is nobody's yet, but who asks about it means this site.
  if (owners.length === 0 && pendingAround(netmap, address) !== undefined) {
    return { here: true, others: [] };
  }
  const others = netmap.peers.filter(({ connector }) => carriers.includes(connector));
  return {
    here: carriers.includes(netmap.self.connector),
    others: [...new Set(others.map(({ name }) => name))],
  };
}

export function nearOf({ self }: Netmap, near: NumericAddress): SideFacts['near'] {
  const bytes = bytesOf(near);
  const isMesh = [self.mesh.ipv4, self.mesh.ipv6].some((text) =>
    containsAddress(parsePrefix(text)!, bytes),
  );
  if (isMesh) return { kind: 'mesh', prefix: null };
  const approved = longestAround(
    self.routes.filter((route) => route.approved).map(({ prefix }) => prefix),
    near,
  );
  if (approved !== undefined) return { kind: 'route', prefix: approved };
  const pending = pendingAround({ self }, near);
  return pending === undefined
    ? { kind: 'none', prefix: null }
    : { kind: 'pending', prefix: pending };
}

function pendingAround({ self }: Pick<Netmap, 'self'>, address: NumericAddress) {
  return longestAround(
    self.routes.filter(({ approved }) => !approved).map(({ prefix }) => prefix),
    address,
  );
}

function longestAround(prefixes: readonly string[], address: NumericAddress): string | undefined {
  const bytes = bytesOf(address);
  return prefixes
    .map((text) => parsePrefix(text)!)
    .filter((prefix) => containsAddress(prefix, bytes))
    .toSorted((a, b) => b.length - a.length)
    .map(formatPrefix)[0];
}

export interface RoutesHere {
  readonly conflicts: MeshView['kernel']['conflicts'];
  /** A default route is taken only of the connector that Internet traffic leaves by. */
  readonly breakout: Wanted['breakout'] | undefined;
}

/** Who has the address: the longest prefix, then the lowest priority, as packets are routed. */
export function farOf(
  { peers, self }: Netmap,
  far: NumericAddress,
  { conflicts, breakout }: RoutesHere,
): SideFacts['far'] {
  const bytes = bytesOf(far);
  const way = breakout?.[far.family];
  const taker = way?.kind === 'through' ? way.by.name : undefined;
  const isTaken = ({ prefix, connector }: Holder): boolean =>
    prefix === null || !isDefaultRoute(prefix) || connector === taker;
  const holders = peers
    .filter(({ serving }) => serving)
    .flatMap(({ name: connector, mesh, prefixes }): (Holder & { readonly length: number })[] => {
      const isMesh = [mesh.ipv4, mesh.ipv6].some((text) =>
        containsAddress(parsePrefix(text)!, bytes),
      );
      if (isMesh) return [{ connector, prefix: null, priority: 0, length: bytes.length * 8 }];
      return prefixes.flatMap(({ prefix, priority }) => {
        const parsed = parsePrefix(prefix)!;
        if (!containsAddress(parsed, bytes)) return [];
        return [{ connector, prefix, priority, length: parsed.length }];
      });
    })
    .toSorted((a, b) => b.length - a.length || a.priority - b.priority)
    .map(({ length: _, ...holder }) => holder);
  const chosen = holders.find(isTaken) ?? null;
  const others = holders.filter((holder) => holder !== chosen);
  const text = chosen?.prefix ?? (far.family === 4 ? self.meshRanges.ipv4 : self.meshRanges.ipv6);
  const routed = parsePrefix(text)!;
  const conflict = conflicts.find(
    ({ prefix, local }) =>
      formatPrefix(prefix) === text &&
      (containsPrefix(local.prefix, routed) || containsAddress(local.prefix, bytes)),
  );
  return {
    chosen,
    others: others.slice(0, MOST_OTHERS),
    local:
      chosen === null || conflict === undefined
        ? null
        : {
            prefix: formatPrefix(conflict.local.prefix),
            device: deviceSchema.safeParse(conflict.local.interfaceName).data ?? null,
            connected: conflict.local.connected,
          },
  };
}

/** @param policy what enforces it; what it has at hand is not made anew */
export function policyOf(
  netmap: Netmap,
  policy: MeshView['policy'],
  flow: Flow,
): SideFacts['policy'] {
  const fault = policy.closed ? 'closed' : policy.fault === undefined ? null : 'earlier';
  if (netmap.policy === undefined) return { version: 0, verdict: 'allow', rule: null, fault };
  const { version } = netmap.policy;
  const isInForce = fault === null && policy.state?.version === version;
  const evaluate = (): Explanation =>
    new PolicyEvaluator(netmap.policy!, ownersOfNetmap(netmap)).explain(flow);
  const { verdict, rule = null } = (isInForce && policy.explain(flow)) || evaluate();
  return { version, verdict, rule, fault };
}
