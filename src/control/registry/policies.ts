/** Rules for policies: a new version is checked as a whole before it replaces the one in force. */
import { CausewayError } from '../../errors.ts';
import { meshAddresses } from '../mesh.ts';
import {
  type ConnectorId,
  MAX_POLICY_VERSIONS,
  type PolicyRecord,
  policyRecordSchema,
  type Vnet,
} from '../model.ts';
import type { AddressOwners } from '../policy/address-owners.ts';
import { numericAddress } from '../policy/address-set.ts';
import { NO_POLICY, type ParsedDocument, parseDocument } from '../policy/document.ts';
import { PolicyEvaluator } from '../policy/evaluate.ts';
import type { Policy } from '../policy/policy.ts';
import {
  checkTests,
  describeDecision,
  type MeshLookup,
  runPolicyTests,
  type TestResult,
} from '../policy/policy-tests.ts';
import { resolvePolicy } from '../policy/resolve.ts';
import { TCP } from '../policy/services.ts';
import { checked, existing, existingVnet } from './checks.ts';
import { Draft, type Plan, type RuleContext } from './draft.ts';
import { ownersInVnet, policyOfRecord } from './policy-in-force.ts';
import type { RegistryView } from './view.ts';

/** A TCP connection by which the operator works, from its client's point of view. */
export interface ManagementConnection {
  readonly source: string;
  readonly destination: string;
  readonly port: number;
}

export interface SetPolicyInput {
  /** Id or name. */
  readonly vnet: string;
  readonly text: string;
  /** Who its names were, where that is known from before; otherwise they are looked up. */
  readonly meant?: PolicyRecord['connectors'] | undefined;
  readonly comment?: string | undefined;
  readonly author: string;
  /** The version that the text was made from; refused if another is in force by now. */
  readonly expected?: number | undefined;
  readonly connections: readonly ManagementConnection[];
  /** Even if it cuts one of the connections. */
  readonly force?: boolean | undefined;
}

/** @throws CausewayError NOT_FOUND, VALUE_INVALID, POLICY_* */
export function setPolicy(
  view: RegistryView,
  input: SetPolicyInput,
  { now }: RuleContext,
): Plan<PolicyRecord> {
  const vnet = existingVnet(view, input.vnet);
  const before = view.policyOf(vnet.id);
  const inForce = before?.version ?? 0;
  if (input.expected !== undefined && input.expected !== inForce) {
    throw new CausewayError(
      'POLICY_CHANGED',
      `Version ${inForce} of the policy is in force, not ${input.expected}: look at it with \`connector policy get\` and make the change again.`,
    );
  }
  const { text, meant } = input;
  const { parsed, policy, owners, connectors } = readPolicy(view, vnet, text, inForce + 1, meant);
  checkTests(
    runPolicyTests(parsed, new PolicyEvaluator(policy, owners), testLookup(view, vnet, meant)),
  );
  if (input.force !== true) checkConnections(before, policy, owners, input.connections);
  if (before?.text === input.text) {
    const { connectors: meant } = before;
    const same = Object.keys(connectors).every((name) => meant[name] === connectors[name]);
    if (same) return { writes: [], result: before };
  }
  const record = checked(policyRecordSchema, 'policy', {
    vnet: vnet.id,
    version: inForce + 1,
    text: input.text,
    connectors,
    comment: input.comment ?? '',
    author: input.author,
    created: now,
  });
  const draft = new Draft(view);
  for (const old of view.policiesOf(vnet.id).values()) {
    if (old.version <= record.version - MAX_POLICY_VERSIONS) draft.delete('policy', old);
  }
  draft.put('policy', record);
  return draft.plan(record);
}

/** Makes what an earlier version said the next version; its names mean who they meant then. */
export function rollbackPolicy(
  view: RegistryView,
  input: Omit<SetPolicyInput, 'text' | 'meant' | 'comment'> & { readonly version: number },
  context: RuleContext,
): Plan<PolicyRecord> {
  const vnet = existingVnet(view, input.vnet);
  const record = policyVersion(view, vnet, input.version);
  const { version, ...rest } = input;
  const { text, connectors: meant } = record;
  return setPolicy(view, { ...rest, text, meant, comment: `as version ${version}` }, context);
}

/** @throws CausewayError NOT_FOUND */
export function policyVersion(view: RegistryView, vnet: Vnet, version: number): PolicyRecord {
  const record = view.policiesOf(vnet.id).get(String(version));
  return existing(record, 'version of the policy that is kept,', String(version));
}

/** Runs a document's test cases; that of the policy in force unless given. @throws CausewayError POLICY_* */
export function testPolicy(view: RegistryView, vnet: Vnet, text?: string): TestResult[] {
  const document = text ?? view.policyOf(vnet.id)?.text ?? NO_POLICY;
  const { parsed, policy, owners } = readPolicy(view, vnet, document, 1);
  return runPolicyTests(parsed, new PolicyEvaluator(policy, owners), meshLookup(view, vnet));
}

/** The policy in force, or the one that allows everything. */
export function currentPolicy(view: RegistryView, vnet: Vnet): Policy {
  const record = view.policyOf(vnet.id);
  if (record !== undefined) return policyOfRecord(record);
  return { version: 1, default: 'allow', tags: {}, rules: [] };
}

/** Mesh IPs of connectors of a virtual network, by name. */
export function meshLookup(view: RegistryView, vnet: Vnet): MeshLookup {
  return (name) => {
    const connector = view.findConnector(name);
    if (connector?.vnet !== vnet.id) return undefined;
    return meshAddresses(view.head, connector.meshIndex);
  };
}

interface ReadPolicy {
  readonly parsed: ParsedDocument;
  readonly policy: Policy;
  readonly owners: AddressOwners;
  readonly connectors: Record<string, ConnectorId>;
}

/** @param meant who the names are; looked up without it */
function readPolicy(
  view: RegistryView,
  vnet: Vnet,
  text: string,
  version: number,
  meant?: PolicyRecord['connectors'],
): ReadPolicy {
  const parsed = parseDocument(text);
  const connectors: Record<string, ConnectorId> = {};
  const policy = resolvePolicy(parsed, version, (name) => {
    const connector =
      meant === undefined ? view.findConnector(name) : view.connectors.get(meant[name]!);
    if (connector?.vnet !== vnet.id) return undefined;
    if (meant === undefined && connector.name !== name) return undefined;
    connectors[name] = connector.id;
    return connector.id;
  });
  return { parsed, policy, owners: ownersInVnet(view, vnet.id), connectors };
}

/** Test cases speak of whom the rules speak of. */
function testLookup(
  view: RegistryView,
  vnet: Vnet,
  meant: PolicyRecord['connectors'] = {},
): MeshLookup {
  const byName = meshLookup(view, vnet);
  return (name) => byName(Object.hasOwn(meant, name) ? meant[name]! : name);
}

/** Only what goes from one connector's addresses to another's is the policy's business. */
function checkConnections(
  before: PolicyRecord | undefined,
  policy: Policy,
  owners: AddressOwners,
  connections: readonly ManagementConnection[],
): void {
  const evaluator = new PolicyEvaluator(policy, owners);
  const old = before && new PolicyEvaluator(policyOfRecord(before), owners);
  for (const { source, destination, port } of connections) {
    const from = numericAddress(source);
    const to = numericAddress(destination);
    if (from === undefined || to?.family !== from.family) continue;
    const flow = { source: from, destination: to, protocol: TCP, port };
    const explanation = evaluator.explain(flow);
    const { verdict, sourceConnectors, destinationConnectors } = explanation;
    if (verdict === 'allow' || destinationConnectors.length === 0) continue;
    if (sourceConnectors.length === 0) continue;
    if (sourceConnectors.some((connector) => destinationConnectors.includes(connector))) continue;
    if (old?.explain(flow).verdict === 'deny') continue;
    throw new CausewayError(
      'POLICY_CUTS_OFF',
      `This policy would cut the connection that you work by, ${source} → ${destination} tcp ${port}: ${describeDecision(explanation)}. Nothing was changed: add a rule that allows it, or say --force.`,
    );
  }
}
