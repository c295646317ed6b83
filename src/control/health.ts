/**
 * Health of connectors in cloudflared's words, with since when and why:
 *
 *   INACTIVE  none of its replicas has ever reached an edge
 *   DOWN      one has, none is bound to an edge now
 *   DEGRADED  some of its replicas are not bound to all edges, or one says that traffic goes one way
 *   HEALTHY   every replica is bound to every edge
 */
import { z } from 'zod';
import type { TrafficFault } from './api.ts';
import {
  type ConnectorId,
  type EdgeId,
  type ReplicaId,
  replicaIdSchema,
  timeSchema,
} from './model.ts';
import type { RegistryEvent } from './registry/objects.ts';
import type { RegistryView } from './registry/view.ts';

export type HealthState = 'HEALTHY' | 'DEGRADED' | 'DOWN' | 'INACTIVE';

export interface Health {
  readonly state: HealthState;
  /** Of this state, milliseconds since the epoch; null = it never was another. */
  readonly since: number | null;
  /** A sentence. */
  readonly why: string;
}

export interface HealthChange {
  readonly connector: ConnectorId;
  /** Undefined for a new connector. */
  readonly before: Health | undefined;
  readonly after: Health;
}

/** What is to be kept over a restart: when a replica was bound to some edge, or ceased to be. */
export const savedPresenceSchema = z.strictObject({ replica: replicaIdSchema, since: timeSchema });
export type SavedPresence = z.infer<typeof savedPresenceSchema>;

interface Presence {
  readonly connector: ConnectorId;
  readonly hostname: string;
  readonly edges: Set<EdgeId>;
  /** Last change between bound and not bound; null = it never was bound. */
  since: number | null;
  /** Why it is not bound. */
  why: string;
  /** Addresses of two machines that run it at once; undefined = one does. */
  twins: readonly string[] | undefined;
  /** What of its traffic goes one way, as it says itself. */
  faults: readonly TrafficFault[];
}

/** Faults named in a sentence. */
const NAMED = 3;

export class HealthTracker {
  readonly #replicas = new Map<ReplicaId, Presence>();
  readonly #connectors = new Map<ConnectorId, Health>();
  readonly #ofConnector = new Map<ConnectorId, Set<ReplicaId>>();
  readonly #edges = new Map<EdgeId, string>();
  /** Replicas that say that traffic goes one way. */
  readonly #accusing = new Set<ReplicaId>();
  readonly #changes: HealthChange[] = [];

  /** Nobody is bound yet; `saved` tells who was once. */
  constructor(view: RegistryView, saved: readonly SavedPresence[] = []) {
    for (const edge of view.edges.values()) this.#edges.set(edge.id, edge.name);
    for (const { id, connector, hostname } of view.replicas.values()) {
      this.#addReplica(id, connector, hostname);
    }
    for (const { replica, since } of saved) {
      const presence = this.#replicas.get(replica);
      if (presence !== undefined) presence.since = since;
    }
    for (const id of view.connectors.keys()) this.#assess(id, null);
    this.#changes.length = 0;
  }

  /** Follows a change of the registry. */
  handleRegistry(events: readonly RegistryEvent[], now: number): void {
    const touched = new Set<ConnectorId>();
    for (const { kind, before, after } of events) {
      if (kind === 'edge') {
        if (after === undefined) this.#removeEdge(before!.id);
        else this.#edges.set(after.id, after.name);
        for (const id of this.#connectors.keys()) touched.add(id);
      } else if (kind === 'connector') {
        touched.add((after ?? before)!.id);
        if (after === undefined) this.#connectors.delete(before!.id);
        else if (before === undefined) this.#connectors.set(after.id, UNSEEN);
      } else if (kind === 'replica') {
        const { id, connector, hostname } = (after ?? before)!;
        touched.add(connector);
        if (after === undefined) this.#removeReplica(id, connector);
        else this.#addReplica(id, connector, hostname);
      }
    }
    for (const id of touched) if (this.#connectors.has(id)) this.#assess(id, now);
  }

  /** An edge has an authenticated address of the replica. */
  handleBound(replica: ReplicaId, edge: EdgeId, now: number): void {
    const presence = this.#replicas.get(replica);
    if (presence === undefined || presence.edges.has(edge)) return;
    if (presence.edges.size === 0) presence.since = now;
    presence.edges.add(edge);
    this.#assess(presence.connector, now);
  }

  /** `why`: a clause, such as "silent for 70 s". */
  handleUnbound(replica: ReplicaId, edge: EdgeId, why: string, now: number): void {
    const presence = this.#replicas.get(replica);
    if (presence === undefined || !presence.edges.delete(edge)) return;
    presence.why = why;
    if (presence.edges.size === 0) presence.since = now;
    this.#assess(presence.connector, now);
  }

  /** The replica runs on several machines at once, or no longer does (undefined). */
  handleTwins(replica: ReplicaId, twins: readonly string[] | undefined, now: number): void {
    const presence = this.#replicas.get(replica);
    if (presence === undefined || presence.twins?.join() === twins?.join()) return;
    presence.twins = twins;
    this.#assess(presence.connector, now);
  }

  /** What of the replica's traffic goes one way, all of it. */
  handleFaults(replica: ReplicaId, faults: readonly TrafficFault[], now: number): void {
    const presence = this.#replicas.get(replica);
    if (presence === undefined || (faults.length === 0 && presence.faults.length === 0)) return;
    presence.faults = faults;
    if (faults.length > 0) this.#accusing.add(replica);
    else this.#accusing.delete(replica);
    this.#assess(presence.connector, now);
  }

  healthOf(connector: ConnectorId): Health {
    return this.#connectors.get(connector) ?? UNSEEN;
  }

  isBound(replica: ReplicaId): boolean {
    return (this.#replicas.get(replica)?.edges.size ?? 0) > 0;
  }

  /** Edges that the replica is bound to, and since when it is bound, or is not. */
  presenceOf(replica: ReplicaId): {
    readonly edges: readonly EdgeId[];
    readonly since: number | null;
  } {
    const presence = this.#replicas.get(replica);
    return { edges: [...(presence?.edges ?? [])], since: presence?.since ?? null };
  }

  /** How many connectors are in each state. */
  counts(): Record<HealthState, number> {
    const counts = { HEALTHY: 0, DEGRADED: 0, DOWN: 0, INACTIVE: 0 };
    for (const { state } of this.#connectors.values()) counts[state]++;
    return counts;
  }

  /** Changes of state since the last call. */
  pollChanges(): HealthChange[] {
    return this.#changes.splice(0);
  }

  /** To be kept over a restart. */
  save(): SavedPresence[] {
    return [...this.#replicas].flatMap(([replica, { since }]) =>
      since === null ? [] : [{ replica, since }],
    );
  }

  #addReplica(id: ReplicaId, connector: ConnectorId, hostname: string): void {
    const before = this.#replicas.get(id);
    const none = { twins: undefined, faults: [] };
    const fresh = { edges: new Set<EdgeId>(), since: null, why: '', ...none };
    this.#replicas.set(id, { ...(before ?? fresh), connector, hostname });
    const members = this.#ofConnector.get(connector);
    if (members === undefined) this.#ofConnector.set(connector, new Set([id]));
    else members.add(id);
  }

  #removeReplica(id: ReplicaId, connector: ConnectorId): void {
    this.#replicas.delete(id);
    this.#accusing.delete(id);
    const members = this.#ofConnector.get(connector);
    members?.delete(id);
    if (members?.size === 0) this.#ofConnector.delete(connector);
  }

  #removeEdge(edge: EdgeId): void {
    this.#edges.delete(edge);
    for (const { edges } of this.#replicas.values()) edges.delete(edge);
  }

  #assess(connector: ConnectorId, now: number | null): void {
    const before = this.#connectors.get(connector);
    const { state, why } = this.#assessment(connector);
    const same = before?.state === state;
    const since = same
      ? before.since
      : state === 'INACTIVE'
        ? null
        : (now ?? this.#last(connector));
    const after = { state, since, why };
    this.#connectors.set(connector, after);
    if (!same) this.#changes.push({ connector, before, after });
    if (isDown(before) !== isDown(after)) this.#assessAccusers(connector, now);
  }

  /** What they say of a connector counts while that is up: otherwise it is its own trouble. */
  #assessAccusers(accused: ConnectorId, now: number | null): void {
    for (const id of this.#accusing) {
      const { connector, faults } = this.#replicas.get(id)!;
      if (faults.some((fault) => fault.connector === accused)) this.#assess(connector, now);
    }
  }

  /** Clauses about one replica's traffic. */
  #trafficFaults({ hostname, faults }: Presence): string[] {
    return faults
      .filter(({ connector }) => connector === null || !isDown(this.#connectors.get(connector)))
      .map(({ why }) => `${hostname}: ${why.replace(/\.$/, '')}`);
  }

  #assessment(connector: ConnectorId): { state: HealthState; why: string } {
    const replicas = this.#presences(connector);
    if (replicas.every(({ since }) => since === null)) {
      return replicas.length === 0
        ? UNSEEN
        : { state: 'INACTIVE', why: 'It joined, but has not reached an edge yet.' };
    }
    const faults: string[] = [];
    for (const replica of replicas) {
      const { hostname, edges, since, why, twins } = replica;
      if (twins !== undefined) faults.push(describeTwins(hostname, twins));
      if (edges.size === 0) {
        const reason = why === '' ? '' : ` (${why})`;
        const verb = since === null ? 'has never reached an edge' : 'is bound to no edge';
        faults.push(`${hostname} ${verb}${reason}`);
        continue;
      }
      for (const [edge, name] of this.#edges) {
        if (!edges.has(edge)) faults.push(`${hostname} is not bound to ${name}`);
      }
      faults.push(...this.#trafficFaults(replica));
    }
    const more = faults.length > NAMED ? `; and ${faults.length - NAMED} more` : '';
    const why = `${faults.slice(0, NAMED).join('; ')}${more}.`;
    if (replicas.every(({ edges }) => edges.size === 0)) return { state: 'DOWN', why };
    if (faults.length > 0) return { state: 'DEGRADED', why };
    return { state: 'HEALTHY', why: 'Every replica is bound to every edge.' };
  }

  #presences(connector: ConnectorId): Presence[] {
    return [...(this.#ofConnector.get(connector) ?? [])].map((id) => this.#replicas.get(id)!);
  }

  /** The last time that one of its replicas was seen to change. */
  #last(connector: ConnectorId): number | null {
    const times = this.#presences(connector).flatMap(({ since }) => since ?? []);
    return times.length === 0 ? null : Math.max(...times);
  }
}

function describeTwins(hostname: string, addresses: readonly string[]): string {
  return `${hostname} runs on two machines at once, with copies of one identity (seen at ${addresses.join(' and ')}): end one, give its identity up there with \`connector down --forget\`, and join it with a token`;
}

function isDown(health: Health | undefined): boolean {
  return health?.state === 'DOWN' || health?.state === 'INACTIVE';
}

const UNSEEN: Health = { state: 'INACTIVE', since: null, why: 'No replica has joined yet.' };
