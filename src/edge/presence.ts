/**
 * Who is bound to this edge's relay, followed into the health of connectors (control/health.ts) and
 * kept in a file, so that after a restart of the edge what was up is known from what never was.
 *
 * A connector's prefixes move to another of its replicas when the one that carries them is lost.
 */

import type { Logger } from 'pino';
import { z } from 'zod';
import type { TrafficFault } from '../control/api.ts';
import {
  type Health,
  type HealthState,
  HealthTracker,
  type SavedPresence,
  savedPresenceSchema,
} from '../control/health.ts';
import {
  type Connector,
  type EdgeId,
  MAX_REPLICAS,
  type Replica,
  type ReplicaId,
} from '../control/model.ts';
import { readPrivateFile, writePrivateFile } from '../control/node/private-file.ts';
import type { Registry } from '../control/registry/registry.ts';
import { chooseServing } from '../control/registry/replicas.ts';
import type { RegistryView } from '../control/registry/view.ts';
import { TwinWatch } from '../control/twins.ts';
import { type AuditLog, EDGE_ACTOR } from './audit-log.ts';
import type { BindingEnd, RelayProcess } from './relay/relay.ts';
import { changeByEdge } from './services.ts';

/** Between two writes of the file, in ms. */
const SAVE_INTERVAL = 10_000;

/** Clauses for people. */
const END_REASONS: Readonly<Record<BindingEnd, string>> = {
  silent: 'silent',
  stopped: 'stopped on its host',
};

const savedSchema = z.strictObject({
  version: z.literal(1),
  replicas: z.array(savedPresenceSchema).max(MAX_REPLICAS),
});

export interface PresenceOptions {
  readonly registry: Registry;
  readonly audit: AuditLog;
  readonly relay: Pick<RelayProcess, 'onBinding'>;
  readonly edge: EdgeId;
  readonly file: string;
  readonly log: Logger;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

export class Presence {
  readonly #options: PresenceOptions;
  readonly #tracker: HealthTracker;
  readonly #view: RegistryView;
  readonly #stop: (() => void)[];
  readonly #timer: NodeJS.Timeout;
  readonly #twins = new TwinWatch();
  /** Those that were reported. */
  readonly #twinned = new Set<ReplicaId>();
  #dirty = false;
  #saving: Promise<void> = Promise.resolve();

  /** Reads the file; one that cannot be read is reported and made anew. */
  static async open(options: PresenceOptions): Promise<Presence> {
    return new Presence(options, await load(options));
  }

  private constructor(options: PresenceOptions, saved: readonly SavedPresence[]) {
    this.#options = options;
    const { registry, relay, now } = options;
    this.#view = registry.view;
    this.#tracker = new HealthTracker(this.#view, saved);
    this.#stop = [
      registry.onChange((events) => {
        for (const { kind, before, after } of events) {
          if (kind === 'replica' && after === undefined) this.#forget(before!.id);
        }
        this.#tracker.handleRegistry(events, now());
        this.#report();
      }),
      relay.onBinding((relayId, bound, at, endpoint, end) =>
        this.#onBinding(relayId, bound, at, endpoint, end),
      ),
    ];
    this.#timer = setInterval(() => {
      this.#lookForTwins();
      this.#save();
    }, SAVE_INTERVAL).unref();
  }

  /**
   * A run of the replica's daemon opened a netmap stream; `instance` names the run. Returns the
   * addresses of the two machines if there are two with its identity.
   */
  handleStream(
    replica: ReplicaId,
    instance: string,
    address: string,
  ): readonly string[] | undefined {
    const now = this.#options.now();
    // It tells them again, if they are still so.
    this.#tracker.handleFaults(replica, [], now);
    const twins = this.#twins.handleOpened(replica, instance, address, now);
    if (twins === undefined) return undefined;
    if (!this.#twinned.has(replica)) {
      const text =
        'two machines run with copies of one identity: each ends the stream of the other';
      this.#options.log.warn({ replica, addresses: twins }, text);
    }
    this.#twinned.add(replica);
    this.#tracker.handleTwins(replica, twins, now);
    this.#report();
    return twins;
  }

  /** What of its traffic goes one way, as the replica says. */
  handleFaults(replica: ReplicaId, faults: readonly TrafficFault[]): void {
    this.#tracker.handleFaults(replica, faults, this.#options.now());
    this.#report();
  }

  isBound(replica: ReplicaId): boolean {
    return this.#tracker.isBound(replica);
  }

  /** Names of the edges that the replica is bound to, and since when it is, or is not. */
  of(replica: ReplicaId): { readonly boundTo: string[]; readonly since: number | null } {
    const { edges, since } = this.#tracker.presenceOf(replica);
    return { boundTo: edges.map((id) => this.#view.edges.get(id)?.name ?? id), since };
  }

  health(connector: Connector): Health {
    return this.#tracker.healthOf(connector.id);
  }

  counts(): Record<HealthState, number> {
    return this.#tracker.counts();
  }

  async close(): Promise<void> {
    for (const stop of this.#stop) stop();
    clearInterval(this.#timer);
    this.#dirty = true;
    this.#save();
    await this.#saving;
  }

  #forget(replica: ReplicaId): void {
    this.#twins.forget(replica);
    this.#twinned.delete(replica);
  }

  #lookForTwins(): void {
    const now = this.#options.now();
    for (const replica of this.#twinned) {
      const twins = this.#twins.twins(replica, now);
      if (twins === undefined) this.#twinned.delete(replica);
      this.#tracker.handleTwins(replica, twins, now);
    }
    this.#report();
  }

  #onBinding(
    relayId: number,
    bound: boolean,
    at: number,
    endpoint: string,
    end: BindingEnd = 'silent',
  ): void {
    const replica = this.#view.byRelayId(relayId);
    if (replica === undefined || !('connector' in replica)) return;
    const before = this.isBound(replica.id);
    if (bound) this.#tracker.handleBound(replica.id, this.#options.edge, at);
    else this.#tracker.handleUnbound(replica.id, this.#options.edge, END_REASONS[end], at);
    if (before !== bound)
      this.#audit(
        `replica.${bound ? 'bound' : 'unbound'}`,
        replica.id,
        bound ? null : { endpoint },
        bound ? { endpoint } : { why: END_REASONS[end] },
      );
    this.#dirty = true;
    this.#report();
    this.#chooseServing(replica);
  }

  #chooseServing(replica: Replica): void {
    const { registry, audit, log } = this.#options;
    if (this.#view.replicasOf(replica.connector).size < 2) return;
    const isBound = (id: ReplicaId): boolean => this.isBound(id);
    changeByEdge({ registry, audit }, (view, { now }) =>
      chooseServing(view, replica.connector, isBound, now),
    ).catch((error: unknown) => log.error({ error }, 'a failover could not be recorded'));
  }

  #report(): void {
    for (const { connector, before, after } of this.#tracker.pollChanges()) {
      const name = this.#view.connectors.get(connector)?.name;
      this.#options.log.info(
        { connector: name ?? connector, before: before?.state, state: after.state, why: after.why },
        'health of a connector changed',
      );
      // A new connector is in the log already.
      if (before !== undefined) this.#audit('connector.health', connector, before, after);
    }
  }

  #audit(action: string, target: string, before: unknown, after: unknown): void {
    void this.#options.audit.record([{ actor: EDGE_ACTOR, action, target, before, after }]);
  }

  #save(): void {
    if (!this.#dirty) return;
    this.#dirty = false;
    const { file, log } = this.#options;
    const text = JSON.stringify({ version: 1, replicas: this.#tracker.save() });
    this.#saving = this.#saving
      .then(() => writePrivateFile(file, `${text}\n`))
      .catch((error: unknown) => log.error({ error }, 'who is connected could not be saved'));
  }
}

async function load({ file, log }: PresenceOptions): Promise<readonly SavedPresence[]> {
  try {
    const text = await readPrivateFile(file);
    return text === undefined ? [] : savedSchema.parse(JSON.parse(text)).replicas;
  } catch (error) {
    log.warn({ error, file }, 'who was connected before is not known: the file cannot be read');
    return [];
  }
}
