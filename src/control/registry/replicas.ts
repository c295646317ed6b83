/** Rules for replicas: enrolment with a join secret, removal, and which of them carries the prefixes. */
import { CausewayError } from '../../errors.ts';
import {
  type Connector,
  type ConnectorId,
  MAX_REPLICAS,
  type Replica,
  type ReplicaId,
  replicaSchema,
  type Serving,
} from '../model.ts';
import { hashSecret, isSecret, joinSecretVersion } from '../secrets.ts';
import { checked, checkRoom, existing } from './checks.ts';
import { Draft, type Plan, type RuleContext } from './draft.ts';
import { type AdvertiseInput, type AdvertiseResult, putAdvertised, withdraw } from './routes.ts';
import { oldest, type RegistryView } from './view.ts';

export interface EnrolInput {
  readonly connector: ConnectorId;
  /** The join token's. */
  readonly secret: string;
  readonly publicKey: string;
  readonly hostname: string;
  readonly version: string;
  /** SHA-256 of the secret that it authenticates with from now on. */
  readonly credentialHash: string;
  readonly advertise: AdvertiseInput;
}

export interface EnrolResult {
  readonly replica: Replica;
  readonly connector: Connector;
  readonly advertised: AdvertiseResult;
}

/**
 * Makes a host a replica of the connector. A public key that enrolled for it before gets the same
 * replica with the new credential, so that an answer that was lost can be asked for again: whoever
 * asks must have proven that the key is his own (enrolment-proof.ts).
 *
 * @throws CausewayError JOIN_TOKEN_WRONG, JOIN_TOKEN_REVOKED, REPLICA_LIMIT, KEY_TAKEN, VALUE_INVALID,
 *   ROUTE_*, LIMIT_REACHED, MESH_FULL
 */
export function enrolReplica(
  view: RegistryView,
  input: EnrolInput,
  context: RuleContext,
): Plan<EnrolResult> {
  const connector = joiningConnector(view, input);
  const before = view.byPublicKey(input.publicKey);
  if (before !== undefined && (!('connector' in before) || before.connector !== connector.id)) {
    throw new CausewayError(
      'KEY_TAKEN',
      'Another host has this WireGuard key already: remove the copied identity directory and join again.',
    );
  }
  if (before === undefined) checkReplicaRoom(view, connector);
  const holder = view.byCredentialHash(input.credentialHash);
  if (holder !== undefined && holder.id !== before?.id) {
    throw new CausewayError(
      'VALUE_INVALID',
      'Another replica has this credential: make a new one.',
    );
  }
  const draft = new Draft(view);
  const replica = checked(replicaSchema, 'replica', {
    id: before?.id ?? context.newId(),
    connector: connector.id,
    vnet: connector.vnet,
    publicKey: input.publicKey,
    relayId: before?.relayId ?? draft.takeRelayId(),
    hostname: input.hostname,
    version: input.version,
    credentialHash: input.credentialHash,
    ...(before?.breakout && { breakout: before.breakout }),
    created: before?.created ?? context.now,
  });
  draft.put('replica', replica);
  const advertised = putAdvertised(draft, connector, replica.id, input.advertise, context);
  return draft.plan({ replica, connector, advertised });
}

/** Takes along what only this replica advertises. @throws CausewayError NOT_FOUND */
export function removeReplica(view: RegistryView, id: string): Plan<Replica> {
  const replica = existing(view.replicas.get(id as ReplicaId), 'replica', id);
  const draft = new Draft(view);
  draft.delete('replica', replica);
  withdraw(draft, view.routesOf(replica.connector).values(), replica.id, new Set());
  const serving = view.serving.get(replica.connector);
  if (serving?.replica === replica.id) draft.delete('serving', serving);
  return draft.plan(replica);
}

/**
 * Gives a connector's prefixes to another replica if the one that has them is not bound and another
 * is: to the oldest bound. It keeps them until it is not bound itself, so that nothing moves twice.
 */
export function chooseServing(
  view: RegistryView,
  connector: ConnectorId,
  isBound: (replica: ReplicaId) => boolean,
  now: number,
): Plan<Replica | undefined> {
  const current = view.servingReplica(connector);
  const none = { writes: [], result: current };
  if (current === undefined || isBound(current.id)) return none;
  const bound = [...view.replicasOf(connector).values()].filter(({ id }) => isBound(id));
  const chosen = oldest(bound);
  if (chosen === undefined) return none;
  const serving: Serving = { connector, vnet: chosen.vnet, replica: chosen.id, since: now };
  const draft = new Draft(view);
  draft.put('serving', serving);
  return draft.plan(chosen);
}

/** The replica whose credential this is. */
export function authenticateReplica(view: RegistryView, credential: string): Replica | undefined {
  const replica = view.byCredentialHash(hashSecret(credential));
  return replica !== undefined && isSecret(credential, replica.credentialHash)
    ? replica
    : undefined;
}

/**
 * The connector that a join token is for.
 *
 * @throws CausewayError JOIN_TOKEN_WRONG, JOIN_TOKEN_REVOKED
 */
export function joiningConnector(
  view: RegistryView,
  { connector: id, secret }: Pick<EnrolInput, 'connector' | 'secret'>,
): Connector {
  const connector = view.connectors.get(id);
  if (connector !== undefined && isSecret(secret, connector.joinSecretHash)) return connector;
  const version = joinSecretVersion(secret);
  if (connector !== undefined && version !== undefined && version < connector.joinSecretVersion) {
    throw new CausewayError(
      'JOIN_TOKEN_REVOKED',
      'This join token was replaced by a newer one: ask for that, or run `connector rotate-token` again.',
    );
  }
  throw new CausewayError(
    'JOIN_TOKEN_WRONG',
    'This edge does not know this join token: it is from another edge, or its connector was deleted.',
  );
}

function checkReplicaRoom(view: RegistryView, connector: Connector): void {
  checkRoom(view.replicas.size, MAX_REPLICAS, 'replicas');
  if (view.replicasOf(connector.id).size < connector.maxReplicas) return;
  throw new CausewayError(
    'REPLICA_LIMIT',
    `"${connector.name}" has ${connector.maxReplicas} replicas, as many as it may: remove one that is no longer used (\`connector show ${connector.name}\`).`,
  );
}
