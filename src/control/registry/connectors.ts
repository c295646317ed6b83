/** Rules for connectors. */
import { formatPrefix } from '../../routing/prefix.ts';
import { type Connector, connectorSchema, MAX_CONNECTORS, nameSchema } from '../model.ts';
import { hashSecret, joinSecretText } from '../secrets.ts';
import { checked, checkFree, checkRoom, existingConnector, existingVnet } from './checks.ts';
import { Draft, type Plan, type RuleContext } from './draft.ts';
import { checkedCidr } from './prefixes.ts';
import { putRoutes, type RouteInput } from './routes.ts';
import type { RegistryView } from './view.ts';

/** Replicas that a connector may have unless told otherwise. */
export const DEFAULT_MAX_REPLICAS = 8;

export interface CreateConnectorInput {
  readonly name: string;
  /** Id or name; the default one unless given. */
  readonly vnet?: string | undefined;
  readonly routes?: readonly RouteInput[] | undefined;
  readonly autoApprove?: readonly string[] | undefined;
  readonly maxReplicas?: number | undefined;
  readonly comment?: string | undefined;
  /** SECRET_SIZE random bytes. */
  readonly secret: Uint8Array;
}

export interface ConnectorWithSecret {
  readonly connector: Connector;
  /** For the join token; kept nowhere. */
  readonly secret: string;
}

/** @throws CausewayError VALUE_INVALID, NAME_TAKEN, NOT_FOUND, ROUTE_*, LIMIT_REACHED, MESH_FULL */
export function createConnector(
  view: RegistryView,
  input: CreateConnectorInput,
  context: RuleContext,
): Plan<ConnectorWithSecret> {
  const name = checked(nameSchema, 'name', input.name);
  checkFree(view.findConnector(name), 'connector', name);
  checkRoom(view.connectors.size, MAX_CONNECTORS, 'connectors');
  const draft = new Draft(view);
  const secret = joinSecretText(1, input.secret);
  const connector = checked(connectorSchema, 'connector', {
    id: context.newId(),
    name,
    vnet: existingVnet(view, input.vnet).id,
    meshIndex: draft.takeMeshIndex(),
    autoApprove: autoApproved(input.autoApprove ?? []),
    maxReplicas: input.maxReplicas ?? DEFAULT_MAX_REPLICAS,
    joinSecretHash: hashSecret(secret),
    joinSecretVersion: 1,
    comment: input.comment ?? '',
    created: context.now,
  });
  draft.put('connector', connector);
  putRoutes(draft, connector, input.routes ?? [], context);
  return draft.plan({ connector, secret });
}

export interface UpdateConnectorInput {
  readonly name?: string | undefined;
  readonly comment?: string | undefined;
  /** For what is advertised from now on. */
  readonly autoApprove?: readonly string[] | undefined;
  readonly maxReplicas?: number | undefined;
}

/** @throws CausewayError NOT_FOUND, VALUE_INVALID, NAME_TAKEN, ROUTE_PREFIX, ROUTE_HOST_BITS */
export function updateConnector(
  view: RegistryView,
  reference: string,
  input: UpdateConnectorInput,
): Plan<Connector> {
  const before = existingConnector(view, reference);
  const name = checked(nameSchema, 'name', input.name ?? before.name);
  if (name !== before.name) checkFree(view.findConnector(name), 'connector', name);
  const { autoApprove } = input;
  const connector = checked(connectorSchema, 'connector', {
    ...before,
    name,
    comment: input.comment ?? before.comment,
    autoApprove: autoApprove === undefined ? before.autoApprove : autoApproved(autoApprove),
    maxReplicas: input.maxReplicas ?? before.maxReplicas,
  });
  const draft = new Draft(view);
  draft.put('connector', connector);
  return draft.plan(connector);
}

/** Makes a new join secret; the one before is void. Replicas that joined stay. */
export function rotateJoinSecret(
  view: RegistryView,
  reference: string,
  secret: Uint8Array,
): Plan<ConnectorWithSecret> {
  const before = existingConnector(view, reference);
  const version = before.joinSecretVersion + 1;
  const text = joinSecretText(version, secret);
  const connector: Connector = {
    ...before,
    joinSecretHash: hashSecret(text),
    joinSecretVersion: version,
  };
  const draft = new Draft(view);
  draft.put('connector', connector);
  return draft.plan({ connector, secret: text });
}

/** Takes its routes and replicas along. @throws CausewayError NOT_FOUND */
export function deleteConnector(view: RegistryView, reference: string): Plan<Connector> {
  const connector = existingConnector(view, reference);
  const draft = new Draft(view);
  for (const route of view.routesOf(connector.id).values()) draft.delete('route', route);
  for (const replica of view.replicasOf(connector.id).values()) draft.delete('replica', replica);
  const serving = view.serving.get(connector.id);
  if (serving !== undefined) draft.delete('serving', serving);
  draft.delete('connector', connector);
  return draft.plan(connector);
}

function autoApproved(texts: readonly string[]): string[] {
  return [...new Set(texts.map((text) => formatPrefix(checkedCidr(text))))];
}
