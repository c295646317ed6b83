/** What the endpoints of the API work with, and how they change the registry. */
import { randomUUID } from 'node:crypto';
import type { EnrolRequest } from '../control/api.ts';
import type { JoinToken } from '../control/join-token.ts';
import { encodeJoinToken } from '../control/join-token.ts';
import type { Edge, EdgeId } from '../control/model.ts';
import type { NetmapIndex } from '../control/netmap-index.ts';
import type { Plan, RuleContext } from '../control/registry/draft.ts';
import type { RegistryEvent } from '../control/registry/objects.ts';
import type { Changed, Registry } from '../control/registry/registry.ts';
import type { RegistryView } from '../control/registry/view.ts';
import { CausewayError } from '../errors.ts';
import type { Authentication } from './api/authentication.ts';
import { type Actor, type AuditLog, type AuditRecord, EDGE_ACTOR } from './audit-log.ts';
import type { ChangeLimiter } from './change-limiter.ts';
import type { NetmapStreams } from './netmap-streams.ts';
import type { EdgeCertificates } from './next-certificate.ts';
import type { Presence } from './presence.ts';
import type { Readiness } from './readiness.ts';
import type { RelayProcess } from './relay/relay.ts';
import type { RelayLink } from './relay-link.ts';

export interface EdgeServices {
  readonly registry: Registry;
  readonly authentication: Authentication;
  readonly audit: AuditLog;
  readonly changeLimiter: ChangeLimiter;
  readonly presence: Presence;
  readonly index: NetmapIndex;
  readonly streams: NetmapStreams;
  readonly relay: Pick<RelayProcess, 'statistics'>;
  readonly relayLink: RelayLink;
  readonly certificates: EdgeCertificates;
  readonly readiness: Readiness;
  /** Whether who enrols has the private key of the public key that it sends. */
  readonly isProven: (request: EnrolRequest) => boolean;
  /** This edge's entry in the registry. */
  readonly edge: EdgeId;
  readonly version: string;
  /** Milliseconds since the epoch. */
  readonly started: number;
  readonly now: () => number;
  /** In the format of Prometheus. */
  readonly metrics: () => Promise<string>;
}

/** Time and ids for a rule. */
export function ruleContext(now: number): RuleContext {
  return { now, newId: () => randomUUID() };
}

/**
 * Makes a change and records it in the audit log, one line for each object that changed. Resolves
 * when both are written.
 *
 * @throws CausewayError what the rule throws, REGISTRY_BUSY, STORE_*
 */
export async function change<T>(
  { registry, audit, now }: Pick<EdgeServices, 'registry' | 'audit' | 'now'>,
  actor: Actor,
  rule: (view: RegistryView, context: RuleContext) => Plan<T>,
): Promise<Changed<T>> {
  const changed = await registry.change((view) => rule(view, ruleContext(now())));
  await audit.record(changed.events.map((event) => recordOf(actor, event)));
  return changed;
}

/** The same for what the edge changes by itself. */
export function changeByEdge<T>(
  services: Pick<EdgeServices, 'registry' | 'audit'>,
  rule: (view: RegistryView, context: RuleContext) => Plan<T>,
): Promise<Changed<T>> {
  return change({ ...services, now: Date.now }, EDGE_ACTOR, rule);
}

function recordOf(actor: Actor, { kind, before, after }: RegistryEvent): AuditRecord {
  const action = before === undefined ? 'create' : after === undefined ? 'delete' : 'update';
  const object = after ?? before;
  const target = object !== undefined && 'id' in object ? object.id : '';
  return {
    actor,
    action: `${kind}.${action}`,
    target: target || ownerOf(object),
    before: before ?? null,
    after: after ?? null,
  };
}

/** Of an object that has no id of its own. */
function ownerOf(object: object | undefined): string {
  const { connector, vnet } = (object ?? {}) as { connector?: string; vnet?: string };
  return connector ?? vnet ?? '';
}

/** This edge's own entry. */
export function ownEdge({ registry, edge }: Pick<EdgeServices, 'registry' | 'edge'>): Edge {
  const found = registry.view.edges.get(edge);
  if (found !== undefined) return found;
  throw new CausewayError('NOT_FOUND', 'This edge was deleted from the registry: restart it.');
}

/** The text that `connector up --token` takes. */
export function joinToken(
  services: Pick<EdgeServices, 'registry' | 'edge'>,
  { connector, secret }: Pick<JoinToken, 'connector' | 'secret'>,
): string {
  const { urls, tlsPin, publicKey } = ownEdge(services);
  return encodeJoinToken({ connector, secret, urls, tlsPin, edgePublicKey: publicKey });
}
