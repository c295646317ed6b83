/**
 * All replicas' netmaps, kept current change by change: which replicas a change concerns, and the text
 * of their deltas, made once for all that get the same.
 *
 * A change touches some connectors. What the others of their virtual network get is one text. What the
 * touched connectors' own replicas get has their `self` in it as well. So a change of one route costs
 * one encoding however many replicas hear of it.
 */
import { edgesOf, peerOf, reservedIn, reservedOf, selfOf } from './compute-netmap.ts';
import type { ConnectorId, Replica, ReplicaId, VnetId } from './model.ts';
import { NETMAP_FORMAT, type NetmapPeer } from './netmap.ts';
import { changeOfPeer } from './netmap-delta.ts';
import { NetmapHistory } from './netmap-history.ts';
import { currentEpoch, knownRevision, netmapId } from './netmap-id.ts';
import type { RegistryEvent } from './registry/objects.ts';
import { policyInForce } from './registry/policy-in-force.ts';
import type { RegistryView } from './registry/view.ts';
import type { StoreChange } from './store.ts';

/** One delta and who gets it. */
export interface Broadcast {
  /** JSON on one line: NetmapDelta. */
  readonly data: string;
  readonly recipients: readonly ReplicaId[];
}

export interface NetmapUpdate {
  readonly revision: number;
  /** No replica is in two of them. */
  readonly broadcasts: readonly Broadcast[];
  /** Replicas that are no more. */
  readonly gone: readonly ReplicaId[];
  /** Replicas that have another credential now: who holds the one before is not to hear more. */
  readonly revoked: readonly ReplicaId[];
}

/** What a replica that connects gets first. */
export interface NetmapStart {
  readonly event: 'netmap' | 'delta';
  readonly revision: number;
  /** JSON on one line, in parts of which netmaps of one network share most; to be read once. */
  readonly data: Iterable<string>;
}

interface Member {
  readonly replica: Replica;
  readonly peer: NetmapPeer;
  readonly peerText: string;
  readonly selfText: string;
}

/** What changed for the whole of a virtual network, as texts. */
interface Shared {
  readonly upsert: string[];
  readonly patch: string[];
  readonly remove: string[];
  /** Replicas whose `self` changed. */
  readonly selves: Set<ReplicaId>;
  /** The policy, if it changed; `null` = there is none any more. */
  readonly policy?: string;
  /** Addresses of connectors without a replica: all of them, or those that changed. */
  readonly reserved?: { readonly whole: boolean; readonly holders: string[] } | undefined;
}

export class NetmapIndex {
  readonly #view: RegistryView;
  readonly #members = new Map<VnetId, Map<ReplicaId, Member>>();
  /** In order of replica id; dropped when a member comes or goes. */
  readonly #ordered = new Map<VnetId, Member[]>();
  readonly #ofConnector = new Map<ConnectorId, Map<ReplicaId, Member>>();
  readonly #history: NetmapHistory;
  /** `null` for networks without one. */
  readonly #policyTexts = new Map<VnetId, string>();
  /** Texts by connector; those of a network that is new are found when it is first asked for. */
  readonly #reserved = new Map<VnetId, Map<ConnectorId, string>>();
  #edgesText: string;
  #revision: number;

  /**
   * @param view must be at the revision of each `update` when that is called
   * @param history what `Registry.takeHistory` gives, so that replicas can resume after a restart
   */
  constructor(
    view: RegistryView,
    history: { readonly changes: readonly StoreChange[]; readonly forgotten: number },
  ) {
    this.#view = view;
    this.#revision = view.revision;
    this.#edgesText = JSON.stringify(edgesOf(view));
    for (const replica of view.replicas.values()) this.#add(this.#memberOf(replica));
    // As they are now: found later, a change would be compared with itself, and nobody told.
    for (const vnet of view.vnets.keys()) {
      this.#policyText(vnet);
      this.#reservedOf(vnet);
    }
    this.#history = new NetmapHistory(history.forgotten);
    this.#history.load(history.changes, (connector) => [
      ...(this.#ofConnector.get(connector)?.keys() ?? []),
    ]);
  }

  get revision(): number {
    return this.#revision;
  }

  /** Name of the netmaps of a revision that is sent now. */
  idOf(revision: number): string {
    return netmapId(currentEpoch(this.#view.head.epochs), revision);
  }

  /** Revision of the netmap that a replica says it has; undefined = a whole one is needed. */
  resume(id: string | undefined): number | undefined {
    return knownRevision(id, this.#view.head.epochs, this.#revision);
  }

  /** The whole netmap as JSON, in parts, as it is now; undefined if there is no such replica. */
  full(id: ReplicaId): Iterable<string> | undefined {
    const replica = this.#view.replicas.get(id);
    const own = replica && this.#members.get(replica.vnet)?.get(id);
    if (own === undefined) return undefined;
    const head = `{"format":${NETMAP_FORMAT},"revision":${this.#revision},"self":${own.selfText},"peers":[`;
    const peers = peerTexts(this.#inOrder(own.replica.vnet), own.replica.connector);
    const policy = this.#policyText(own.replica.vnet);
    const rest =
      policy === NO_POLICY ? '' : `,"policy":${policy}${this.#reservedPart(own.replica.vnet)}`;
    return list(head, peers, `],"edges":${this.#edgesText}${rest}}`);
  }

  /**
   * What a replica that has the netmap of revision `since` needs to be current: a delta, the whole
   * netmap when that is not known or no shorter, or nothing (undefined). Undefined for `since`: it has
   * none. There must be such a replica.
   */
  start(id: ReplicaId, since: number | undefined): NetmapStart | undefined {
    const revision = this.#revision;
    const { vnet, connector } = this.#view.replicas.get(id)!;
    const members = this.#members.get(vnet)!;
    const touched =
      since === undefined || since > revision ? undefined : this.#history.after(since, vnet);
    if (touched === undefined || touched.replicas.size > members.size / 2) {
      return { event: 'netmap', revision, data: this.full(id)! };
    }
    const shared: Shared = { upsert: [], patch: [], remove: [], selves: new Set() };
    let self: string | undefined;
    for (const replica of touched.replicas) {
      const member = members.get(replica);
      if (member === undefined) shared.remove.push(JSON.stringify(replica));
      else if (member.replica.connector !== connector) shared.upsert.push(member.peerText);
      else self = members.get(id)!.selfText;
    }
    const { upsert } = shared;
    const all = touched.policy || touched.reserved ? this.#policyChange(vnet) : {};
    const policy = touched.policy ? all : { reserved: all.reserved };
    const body = this.#body({ ...shared, ...policy, upsert: [] }, touched.edges);
    if (upsert.length === 0 && body === '' && self === undefined) return undefined;
    const rest = this.#delta(body, self);
    if (upsert.length === 0) return { event: 'delta', revision, data: [rest] };
    const data = list(`${rest.slice(0, -1)},"upsert":[`, upsert, ']}');
    return { event: 'delta', revision, data };
  }

  /** Follows a change of the registry, as `Registry.onChange` tells it. */
  update(events: readonly RegistryEvent[], revision: number): NetmapUpdate {
    this.#revision = revision;
    const touched = new Map<ConnectorId, VnetId>();
    const revoked: ReplicaId[] = [];
    let edgesChanged = false;
    for (const { kind, before, after } of events) {
      if (kind === 'connector') touched.set((after ?? before)!.id, (after ?? before)!.vnet);
      else if (kind === 'edge') edgesChanged = true;
      else if (kind === 'replica' || kind === 'route' || kind === 'serving') {
        touched.set((after ?? before)!.connector, (after ?? before)!.vnet);
      }
      if (kind === 'replica' && before && after && before.credentialHash !== after.credentialHash) {
        revoked.push(after.id);
      }
    }
    if (edgesChanged) {
      const text = JSON.stringify(edgesOf(this.#view));
      edgesChanged = text !== this.#edgesText;
      this.#edgesText = text;
    }
    if (edgesChanged) this.#history.addEdges(revision);
    const gone: ReplicaId[] = [];
    const vnets = new Map<VnetId, Shared>();
    for (const connector of touched.keys()) this.#touch(connector, vnets, gone);
    for (const [connector, vnet] of touched) this.#touchReserved(connector, vnet, vnets);
    for (const { kind, before, after } of events) {
      if (kind === 'policy') this.#touchPolicy((after ?? before)!.vnet, vnets);
    }
    const broadcasts: Broadcast[] = [];
    for (const vnet of edgesChanged ? this.#members.keys() : vnets.keys()) {
      this.#broadcast(vnet, vnets.get(vnet) ?? NOTHING, edgesChanged, broadcasts);
    }
    return { revision, broadcasts, gone, revoked };
  }

  /** Brings one connector's members up to date and collects what that changes for its network. */
  #touch(connector: ConnectorId, vnets: Map<VnetId, Shared>, gone: ReplicaId[]): void {
    const before = new Map(this.#ofConnector.get(connector));
    for (const replica of this.#view.replicasOf(connector).values()) {
      const old = before.get(replica.id);
      before.delete(replica.id);
      const member = this.#memberOf(replica);
      const peerChanged = old?.peerText !== member.peerText;
      const selfChanged = old?.selfText !== member.selfText;
      if (!peerChanged && !selfChanged) continue;
      const shared = sharedOf(vnets, replica.vnet);
      const change = peerChanged ? changeOfPeer(old?.peer, member.peer) : undefined;
      if (change?.kind === 'upsert') shared.upsert.push(member.peerText);
      else if (change?.kind === 'patch') shared.patch.push(JSON.stringify(change.patch));
      if (selfChanged) shared.selves.add(replica.id);
      this.#add(member);
      this.#history.add(this.#revision, replica.vnet, replica.id);
    }
    for (const { replica } of before.values()) {
      sharedOf(vnets, replica.vnet).remove.push(JSON.stringify(replica.id));
      this.#remove(replica);
      this.#history.add(this.#revision, replica.vnet, replica.id);
      gone.push(replica.id);
    }
  }

  #touchPolicy(vnet: VnetId, vnets: Map<VnetId, Shared>): void {
    const before = this.#policyText(vnet);
    this.#policyTexts.delete(vnet);
    if (this.#policyText(vnet) === before) return;
    vnets.set(vnet, { ...sharedOf(vnets, vnet), ...this.#policyChange(vnet) });
    this.#history.addPolicy(this.#revision, vnet);
  }

  /** A connector may have, or have had, no replica. */
  #touchReserved(id: ConnectorId, vnet: VnetId, vnets: Map<VnetId, Shared>): void {
    const connector = this.#view.connectors.get(id);
    const isReserved = connector !== undefined && this.#view.replicasOf(id).size === 0;
    const text = isReserved ? JSON.stringify(reservedOf(this.#view, connector)) : undefined;
    const reserved = this.#reservedOf(vnet);
    if (reserved.get(id) === text) return;
    if (text === undefined) reserved.delete(id);
    else reserved.set(id, text);
    if (this.#policyText(vnet) === NO_POLICY) return;
    const shared = sharedOf(vnets, vnet);
    const before = shared.reserved ?? { whole: false, holders: [] };
    before.holders.push(text ?? JSON.stringify({ connector: id, prefixes: [] }));
    vnets.set(vnet, { ...shared, reserved: before });
    this.#history.addReserved(this.#revision, vnet);
  }

  /** All that the policy needs, for who has another one or none. */
  #policyChange(vnet: VnetId): Pick<Shared, 'policy' | 'reserved'> {
    const policy = this.#policyText(vnet);
    if (policy === NO_POLICY) return { policy };
    return { policy, reserved: { whole: true, holders: this.#reservedTexts(vnet) } };
  }

  #reservedOf(vnet: VnetId): Map<ConnectorId, string> {
    let reserved = this.#reserved.get(vnet);
    if (reserved === undefined) {
      const all = reservedIn(this.#view, vnet);
      reserved = new Map(all.map((one) => [one.connector, JSON.stringify(one)]));
      this.#reserved.set(vnet, reserved);
    }
    return reserved;
  }

  /** In order of connector id. */
  #reservedTexts(vnet: VnetId): string[] {
    const all = [...this.#reservedOf(vnet)].sort(([a], [b]) => (a < b ? -1 : 1));
    return all.map(([, text]) => text);
  }

  #reservedPart(vnet: VnetId): string {
    const texts = this.#reservedTexts(vnet);
    return texts.length === 0 ? '' : `,"reserved":[${texts.join(',')}]`;
  }

  #policyText(vnet: VnetId): string {
    let text = this.#policyTexts.get(vnet);
    if (text === undefined) {
      text = JSON.stringify(policyInForce(this.#view, vnet) ?? null);
      this.#policyTexts.set(vnet, text);
    }
    return text;
  }

  #broadcast(vnet: VnetId, shared: Shared, edgesChanged: boolean, into: Broadcast[]): void {
    const members = this.#members.get(vnet);
    if (members === undefined) return;
    const body = this.#body(shared, edgesChanged);
    if (body !== '') {
      const recipients: ReplicaId[] = [];
      for (const id of members.keys()) if (!shared.selves.has(id)) recipients.push(id);
      if (recipients.length > 0) into.push({ data: this.#delta(body, undefined), recipients });
    }
    for (const id of shared.selves) {
      into.push({ data: this.#delta(body, members.get(id)!.selfText), recipients: [id] });
    }
  }

  #body({ upsert, patch, remove, policy, reserved }: Shared, edges: boolean): string {
    let body = '';
    if (upsert.length > 0) body += `,"upsert":[${upsert.join(',')}]`;
    if (patch.length > 0) body += `,"patch":[${patch.join(',')}]`;
    if (remove.length > 0) body += `,"remove":[${remove.join(',')}]`;
    if (edges) body += `,"edges":${this.#edgesText}`;
    if (policy !== undefined) body += `,"policy":${policy}`;
    if (reserved !== undefined) {
      body += `,"reserved":{"whole":${reserved.whole},"holders":[${reserved.holders.join(',')}]}`;
    }
    return body;
  }

  #delta(body: string, self: string | undefined): string {
    const own = self === undefined ? '' : `,"self":${self}`;
    return `{"format":${NETMAP_FORMAT},"revision":${this.#revision}${own}${body}}`;
  }

  #memberOf(replica: Replica): Member {
    const peer = peerOf(this.#view, replica);
    const selfText = JSON.stringify(selfOf(this.#view, replica));
    return { replica, peer, peerText: JSON.stringify(peer), selfText };
  }

  #inOrder(vnet: VnetId): readonly Member[] {
    let ordered = this.#ordered.get(vnet);
    if (ordered === undefined) {
      const members = [...(this.#members.get(vnet)?.values() ?? [])];
      ordered = members.sort((a, b) => (a.replica.id < b.replica.id ? -1 : 1));
      this.#ordered.set(vnet, ordered);
    }
    return ordered;
  }

  #add(member: Member): void {
    const { id, vnet, connector } = member.replica;
    entryOf(this.#members, vnet).set(id, member);
    entryOf(this.#ofConnector, connector).set(id, member);
    this.#ordered.delete(vnet);
  }

  #remove({ id, vnet, connector }: Replica): void {
    const ofConnector = this.#ofConnector.get(connector);
    this.#members.get(vnet)?.delete(id);
    this.#ordered.delete(vnet);
    ofConnector?.delete(id);
    if (ofConnector?.size === 0) this.#ofConnector.delete(connector);
  }
}

/** Text of the policy of a network that has none. */
const NO_POLICY = 'null';
const NOTHING: Shared = { upsert: [], patch: [], remove: [], selves: new Set() };

/** Of all but the connector's own replicas. */
function* peerTexts(members: readonly Member[], except: ConnectorId): Iterable<string> {
  for (const { replica, peerText } of members) {
    if (replica.connector !== except) yield peerText;
  }
}

function* list(head: string, texts: Iterable<string>, tail: string): Iterable<string> {
  yield head;
  let isFirst = true;
  for (const text of texts) {
    if (!isFirst) yield ',';
    isFirst = false;
    yield text;
  }
  yield tail;
}

function sharedOf(vnets: Map<VnetId, Shared>, vnet: VnetId): Shared {
  let shared = vnets.get(vnet);
  if (shared === undefined) {
    shared = { upsert: [], patch: [], remove: [], selves: new Set() };
    vnets.set(vnet, shared);
  }
  return shared;
}

function entryOf<K, V>(index: Map<K, Map<ReplicaId, V>>, key: K): Map<ReplicaId, V> {
  let entry = index.get(key);
  if (entry === undefined) {
    entry = new Map();
    index.set(key, entry);
  }
  return entry;
}
