/** A virtual network's policy and addresses, from the registry. */
import { meshAddresses } from '../mesh.ts';
import type { PolicyRecord, VnetId } from '../model.ts';
import { AddressOwners } from '../policy/address-owners.ts';
import { parseDocument } from '../policy/document.ts';
import type { Policy } from '../policy/policy.ts';
import { resolveNames } from '../policy/resolve.ts';
import type { RegistryView } from './view.ts';

const resolved = new WeakMap<PolicyRecord, Policy>();

/** Undefined: everything is allowed. */
export function policyInForce(view: RegistryView, vnet: VnetId): Policy | undefined {
  const record = view.policyOf(vnet);
  if (record === undefined) return undefined;
  const policy = policyOfRecord(record);
  return policy.default === 'allow' && policy.rules.length === 0 ? undefined : policy;
}

/** What was written down was valid then; its names mean who they meant then. */
export function policyOfRecord(record: PolicyRecord): Policy {
  let policy = resolved.get(record);
  if (policy === undefined) {
    const { text, version, connectors } = record;
    policy = resolveNames(parseDocument(text), version, (name) => connectors[name]);
    resolved.set(record, policy);
  }
  return policy;
}

/** Whose the addresses of a virtual network are: what is approved, whether or not anybody carries it. */
export function ownersInVnet(view: RegistryView, vnet: VnetId): AddressOwners {
  const holders = [...view.connectorsIn(vnet).values()].map(({ id, meshIndex }) => {
    const mesh = meshAddresses(view.head, meshIndex);
    const routes = [...view.routesOf(id).values()].filter(({ approved }) => approved);
    return {
      connector: id,
      prefixes: [mesh.ipv4, mesh.ipv6, ...routes.map(({ prefix }) => prefix)],
    };
  });
  return new AddressOwners(holders);
}
