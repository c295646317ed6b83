/**
 * Which replicas changed at which revision, so that one that was away is told only what it missed. It
 * starts from what the store remembers, so it outlives a restart of the edge. Bounded: the oldest half
 * goes when it is full, and who has missed that gets a whole netmap.
 */
import type { ConnectorId, ReplicaId, VnetId } from './model.ts';
import { parseKey } from './registry/objects.ts';
import type { StoreChange } from './store.ts';

const MAX_ENTRIES = 262_144;

export interface Touched {
  readonly replicas: ReadonlySet<ReplicaId>;
  /** Whether an edge changed. */
  readonly edges: boolean;
  /** Whether the virtual network's policy changed. */
  readonly policy: boolean;
  /** Whether the addresses of its connectors without a replica did, perhaps. */
  readonly reserved: boolean;
}

interface HistoryEntry {
  readonly revision: number;
  readonly vnet: VnetId;
  readonly replica: ReplicaId;
}

export class NetmapHistory {
  #entries: HistoryEntry[] = [];
  #edges = 0;
  /** Revision of the last change by virtual network. */
  readonly #policies = new Map<VnetId, number>();
  readonly #reserved = new Map<VnetId, number>();
  /** Changes up to here are not known any more. */
  #forgotten: number;

  constructor(forgotten: number) {
    this.#forgotten = forgotten;
  }

  /** Takes over what the store remembers. `replicasOf`: of a connector as it is now. */
  load(changes: readonly StoreChange[], replicasOf: (connector: ConnectorId) => ReplicaId[]): void {
    for (const { key, revision } of changes) {
      const parsed = parseKey(key);
      if (parsed?.kind === 'edge') this.addEdges(revision);
      const [vnet, connector, replica] = parsed?.ids ?? [];
      if (vnet === undefined || connector === undefined) continue;
      if (parsed?.kind === 'policy') {
        this.addPolicy(revision, vnet as VnetId);
        continue;
      }
      // Whether it had a replica then is not known.
      this.addReserved(revision, vnet as VnetId);
      // A replica that comes or goes may change which of the connector's others is serving.
      const touched = new Set(replicasOf(connector as ConnectorId));
      if (parsed?.kind === 'replica') touched.add(replica as ReplicaId);
      for (const id of touched) this.add(revision, vnet as VnetId, id);
    }
  }

  /** Revisions must not descend. */
  add(revision: number, vnet: VnetId, replica: ReplicaId): void {
    if (this.#entries.length >= MAX_ENTRIES) {
      const dropped = this.#entries.splice(0, MAX_ENTRIES / 2);
      this.#forgotten = dropped.at(-1)!.revision;
    }
    this.#entries.push({ revision, vnet, replica });
  }

  addPolicy(revision: number, vnet: VnetId): void {
    this.#policies.set(vnet, revision);
  }

  addReserved(revision: number, vnet: VnetId): void {
    this.#reserved.set(vnet, revision);
  }

  addEdges(revision: number): void {
    this.#edges = revision;
  }

  /** What changed in a virtual network after a revision; undefined if that is not known any more. */
  after(revision: number, vnet: VnetId): Touched | undefined {
    if (revision < this.#forgotten) return undefined;
    let low = 0;
    for (let high = this.#entries.length; low < high; ) {
      const middle = (low + high) >>> 1;
      if (this.#entries[middle]!.revision <= revision) low = middle + 1;
      else high = middle;
    }
    const replicas = new Set<ReplicaId>();
    for (let i = low; i < this.#entries.length; i++) {
      const entry = this.#entries[i]!;
      if (entry.vnet === vnet) replicas.add(entry.replica);
    }
    const policy = (this.#policies.get(vnet) ?? 0) > revision;
    const reserved = (this.#reserved.get(vnet) ?? 0) > revision;
    return { replicas, edges: this.#edges > revision, policy, reserved };
  }
}
