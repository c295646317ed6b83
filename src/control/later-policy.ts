/**
 * A policy of a later build in a netmap of this one. What a netmap says more than this build knows can be
 * passed over (netmap.ts). Not so in a policy: a word more may be what makes a rule deny. Such a policy
 * is set aside as it came, so that the next build finds it in the cache, and the gateway goes on with the
 * policy that it has in force, or with none and closed (gateway/policy/policy-enforcer.ts).
 */
import type { Netmap } from './netmap.ts';
import { policySchema } from './policy/policy.ts';

/** A netmap or a delta, before it is validated: moves a policy that is not understood to `laterPolicy`. */
export function setAsidePolicy(json: unknown): unknown {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) return json;
  const { laterPolicy: before, ...rest } = json as Record<string, unknown>;
  // Set aside by an earlier build, perhaps.
  const newest = before ?? rest.policy;
  if (newest === undefined || newest === null) return rest;
  if (!isVersioned(newest) || policySchema.safeParse(newest).success) {
    return { ...rest, policy: newest };
  }
  if (before !== undefined) return { ...rest, laterPolicy: before };
  const { policy: _, ...others } = rest;
  return { ...others, laterPolicy: newest };
}

/** At least it is a policy: anything else is a fault of whoever sent it. */
function isVersioned(policy: unknown): policy is { version: number } {
  return (
    typeof policy === 'object' &&
    policy !== null &&
    'version' in policy &&
    Number.isSafeInteger(policy.version)
  );
}

/** For people; undefined if it says none. */
export function laterVersion(laterPolicy: unknown): number | undefined {
  return isVersioned(laterPolicy) ? laterPolicy.version : undefined;
}

/** A whole netmap whose policy is not understood does not take the one before out of force. */
export function withPolicyInForce(netmap: Netmap, before: Netmap | undefined): Netmap {
  if (netmap.laterPolicy === undefined || netmap.policy !== undefined) return netmap;
  return before?.policy === undefined ? netmap : { ...netmap, policy: before.policy };
}
