/**
 * The registry in memory at one revision, with the indexes that rules and netmaps need. It follows
 * the store: `apply` takes what changed, everything else only reads.
 */
import { CausewayError } from '../../errors.ts';
import { type Prefix, parsePrefix } from '../../routing/prefix.ts';
import type {
  ApiToken,
  Connector,
  ConnectorId,
  Edge,
  EdgeId,
  Head,
  PolicyRecord,
  Replica,
  ReplicaId,
  Route,
  RouteId,
  Serving,
  TokenId,
  Vnet,
  VnetId,
} from '../model.ts';
import type { StoreChange } from '../store.ts';
import {
  decodeObject,
  HEAD_KEY,
  parseKey,
  type RegistryEvent,
  type RegistryObject,
} from './objects.ts';

/** Deleted replicas that are remembered, as many as the store remembers deletions. */
const MAX_DELETED = 16_384;

export class RegistryView {
  /** Names the opening of the store that this view is of. */
  readonly session: string;
  /** Of the store, after the last change applied. */
  revision = 0;
  /** Revision of the head's entry, 0 before there is one. */
  headRevision = 0;
  #head: Head | undefined;
  readonly #byKey = new Map<string, RegistryObject>();
  readonly vnets: ReadonlyMap<VnetId, Vnet> = new Map();
  readonly connectors: ReadonlyMap<ConnectorId, Connector> = new Map();
  readonly replicas: ReadonlyMap<ReplicaId, Replica> = new Map();
  readonly routes: ReadonlyMap<RouteId, Route> = new Map();
  readonly serving: ReadonlyMap<ConnectorId, Serving> = new Map();
  readonly tokens: ReadonlyMap<TokenId, ApiToken> = new Map();
  readonly edges: ReadonlyMap<EdgeId, Edge> = new Map();
  readonly #names = new Map<string, string>();
  readonly #connectorsIn = new Map<string, Map<string, Connector>>();
  readonly #replicasOf = new Map<string, Map<string, Replica>>();
  readonly #routesOf = new Map<string, Map<string, Route>>();
  readonly #routesAt = new Map<string, Map<string, Route>>();
  readonly #policiesOf = new Map<string, Map<string, PolicyRecord>>();
  readonly #prefixes = new Map<RouteId, Prefix>();
  readonly #meshIndexes = new Map<number, Connector>();
  readonly #relayIds = new Map<number, Replica | Edge>();
  readonly #publicKeys = new Map<string, Replica | Edge>();
  readonly #replicaHashes = new Map<string, Replica>();
  readonly #tokenHashes = new Map<string, ApiToken>();
  /** In the order in which they were deleted. */
  readonly #deletedReplicas = new Set<string>();

  /** @param session the store's */
  constructor(session: string) {
    this.session = session;
  }

  /** @throws CausewayError NOT_FOUND before the registry is initialized */
  get head(): Head {
    if (this.#head === undefined) {
      throw new CausewayError('NOT_FOUND', 'The registry is empty: `connector edge init` first.');
    }
    return this.#head;
  }

  get initialized(): boolean {
    return this.#head !== undefined;
  }

  /**
   * Applies what changed in the store, in order of revision; what is not newer than the view is
   * passed over. Returns the objects before and after.
   *
   * @throws CausewayError STORE_DAMAGED, STORE_NEWER; the view is not to be used any more then
   */
  apply(changes: readonly StoreChange[], revision: number): RegistryEvent[] {
    const events: RegistryEvent[] = [];
    const after = this.revision;
    for (const change of changes) {
      if (change.revision <= after) continue;
      const before = this.#byKey.get(change.key);
      const entry = change.value === undefined ? undefined : decodeObject(change.key, change.value);
      if (change.key === HEAD_KEY) this.headRevision = entry === undefined ? 0 : change.revision;
      if (before !== undefined) this.#remove(before);
      if (entry !== undefined) this.#add(entry);
      if (entry === undefined) this.#delete(change.key);
      else this.#byKey.set(change.key, entry);
      const kind = (entry ?? before)?.kind;
      if (kind === undefined) continue;
      const event = { kind, key: change.key, before: before?.object, after: entry?.object };
      events.push(event as RegistryEvent);
    }
    if (revision > this.revision) this.revision = revision;
    return events;
  }

  /** The object with a key of the store. */
  get(key: string): RegistryObject | undefined {
    return this.#byKey.get(key);
  }

  /** Every key that has an object. */
  keys(): IterableIterator<string> {
    return this.#byKey.keys();
  }

  /** By id or by name. */
  findConnector(reference: string): Connector | undefined {
    return this.#find(this.connectors, 'connector', reference);
  }

  /** By id or by name. */
  findVnet(reference: string): Vnet | undefined {
    return this.#find(this.vnets, 'vnet', reference);
  }

  /** By id or by name. */
  findToken(reference: string): ApiToken | undefined {
    return this.#find(this.tokens, 'token', reference);
  }

  /** By id or by name. */
  findEdge(reference: string): Edge | undefined {
    return this.#find(this.edges, 'edge', reference);
  }

  connectorsIn(vnet: VnetId): ReadonlyMap<string, Connector> {
    return this.#connectorsIn.get(vnet) ?? EMPTY;
  }

  replicasOf(connector: ConnectorId): ReadonlyMap<string, Replica> {
    return this.#replicasOf.get(connector) ?? EMPTY;
  }

  routesOf(connector: ConnectorId): ReadonlyMap<string, Route> {
    return this.#routesOf.get(connector) ?? EMPTY;
  }

  /** Routes of exactly this prefix. */
  routesAt(vnet: VnetId, prefix: string): ReadonlyMap<string, Route> {
    return this.#routesAt.get(`${vnet} ${prefix}`) ?? EMPTY;
  }

  /** Versions of a virtual network's policy that are kept, by number. */
  policiesOf(vnet: VnetId): ReadonlyMap<string, PolicyRecord> {
    return this.#policiesOf.get(vnet) ?? EMPTY;
  }

  /** The one in force: the highest version; undefined = there never was one. */
  policyOf(vnet: VnetId): PolicyRecord | undefined {
    let last: PolicyRecord | undefined;
    for (const record of this.policiesOf(vnet).values()) {
      if (last === undefined || record.version > last.version) last = record;
    }
    return last;
  }

  /** A route's prefix, parsed. */
  prefixOf(route: RouteId): Prefix {
    return this.#prefixes.get(route)!;
  }

  /** Who has the place in the mesh ranges. */
  byMeshIndex(index: number): Connector | undefined {
    return this.#meshIndexes.get(index);
  }

  /** Who has the relay id. */
  byRelayId(relayId: number): Replica | Edge | undefined {
    return this.#relayIds.get(relayId);
  }

  /** Who has the WireGuard public key (base64). */
  byPublicKey(publicKey: string): Replica | Edge | undefined {
    return this.#publicKeys.get(publicKey);
  }

  /** Whose credential has this hash. */
  byCredentialHash(hash: string): Replica | undefined {
    return this.#replicaHashes.get(hash);
  }

  /** The API token with this hash. */
  byTokenHash(hash: string): ApiToken | undefined {
    return this.#tokenHashes.get(hash);
  }

  /**
   * Whether there was such a replica and it was deleted. False says nothing: it may be forgotten, or
   * younger than the copy that the registry was restored from.
   */
  wasDeleted(replica: string): boolean {
    return this.#deletedReplicas.has(replica);
  }

  /** The replica that carries the connector's mesh IPs and prefixes: the one chosen, else the oldest. */
  servingReplica(connector: ConnectorId): Replica | undefined {
    const chosen = this.serving.get(connector)?.replica;
    const replicas = this.#replicasOf.get(connector);
    if (replicas === undefined) return undefined;
    return (chosen !== undefined && replicas.get(chosen)) || oldest(replicas.values());
  }

  /** Ids come first: a name may look like somebody's id. */
  #find<T>(objects: ReadonlyMap<string, T>, kind: string, reference: string): T | undefined {
    return objects.get(reference) ?? objects.get(this.#names.get(`${kind}/${reference}`) ?? '');
  }

  #add(entry: RegistryObject): void {
    const { kind, object } = entry;
    switch (kind) {
      case 'head':
        this.#head = object;
        return;
      case 'vnet':
        writable(this.vnets).set(object.id, object);
        break;
      case 'connector':
        writable(this.connectors).set(object.id, object);
        put(this.#connectorsIn, object.vnet, object.id, object);
        this.#meshIndexes.set(object.meshIndex, object);
        break;
      case 'replica':
        writable(this.replicas).set(object.id, object);
        put(this.#replicasOf, object.connector, object.id, object);
        this.#addNode(object);
        this.#replicaHashes.set(object.credentialHash, object);
        return;
      case 'route':
        writable(this.routes).set(object.id, object);
        put(this.#routesOf, object.connector, object.id, object);
        put(this.#routesAt, `${object.vnet} ${object.prefix}`, object.id, object);
        this.#prefixes.set(object.id, parsePrefix(object.prefix)!);
        return;
      case 'serving':
        writable(this.serving).set(object.connector, object);
        return;
      case 'token':
        writable(this.tokens).set(object.id, object);
        this.#tokenHashes.set(object.hash, object);
        break;
      case 'edge':
        writable(this.edges).set(object.id, object);
        this.#addNode(object);
        break;
      case 'policy':
        put(this.#policiesOf, object.vnet, String(object.version), object);
        return;
    }
    this.#names.set(`${kind}/${object.name}`, object.id);
  }

  #delete(key: string): void {
    this.#byKey.delete(key);
    const { kind, ids } = parseKey(key) ?? {};
    const id = ids?.at(-1);
    if (kind !== 'replica' || id === undefined) return;
    this.#deletedReplicas.add(id);
    if (this.#deletedReplicas.size <= MAX_DELETED) return;
    const [oldestDeletion] = this.#deletedReplicas;
    this.#deletedReplicas.delete(oldestDeletion!);
  }

  #remove(entry: RegistryObject): void {
    const { kind, object } = entry;
    switch (kind) {
      case 'head':
        this.#head = undefined;
        return;
      case 'vnet':
        writable(this.vnets).delete(object.id);
        break;
      case 'connector':
        writable(this.connectors).delete(object.id);
        take(this.#connectorsIn, object.vnet, object.id);
        this.#meshIndexes.delete(object.meshIndex);
        break;
      case 'replica':
        writable(this.replicas).delete(object.id);
        take(this.#replicasOf, object.connector, object.id);
        this.#removeNode(object);
        this.#replicaHashes.delete(object.credentialHash);
        return;
      case 'route':
        writable(this.routes).delete(object.id);
        take(this.#routesOf, object.connector, object.id);
        take(this.#routesAt, `${object.vnet} ${object.prefix}`, object.id);
        this.#prefixes.delete(object.id);
        return;
      case 'serving':
        writable(this.serving).delete(object.connector);
        return;
      case 'token':
        writable(this.tokens).delete(object.id);
        this.#tokenHashes.delete(object.hash);
        break;
      case 'edge':
        writable(this.edges).delete(object.id);
        this.#removeNode(object);
        break;
      case 'policy':
        take(this.#policiesOf, object.vnet, String(object.version));
        return;
    }
    const name = `${kind}/${object.name}`;
    // Within one commit another object may have taken the name already.
    if (this.#names.get(name) === object.id) this.#names.delete(name);
  }

  #addNode(node: Replica | Edge): void {
    this.#relayIds.set(node.relayId, node);
    this.#publicKeys.set(node.publicKey, node);
  }

  #removeNode(node: Replica | Edge): void {
    if (this.#relayIds.get(node.relayId)?.id === node.id) this.#relayIds.delete(node.relayId);
    if (this.#publicKeys.get(node.publicKey)?.id === node.id) {
      this.#publicKeys.delete(node.publicKey);
    }
  }
}

const EMPTY: ReadonlyMap<string, never> = new Map<string, never>();

/** The order of replicas: by age, then by id. */
export function oldest(replicas: Iterable<Replica>): Replica | undefined {
  let first: Replica | undefined;
  for (const replica of replicas) {
    if (
      first === undefined ||
      replica.created < first.created ||
      (replica.created === first.created && replica.id < first.id)
    ) {
      first = replica;
    }
  }
  return first;
}

/** The maps are read-only to everybody but this view. */
function writable<K, V>(map: ReadonlyMap<K, V>): Map<K, V> {
  return map as Map<K, V>;
}

function put<V>(index: Map<string, Map<string, V>>, group: string, id: string, value: V): void {
  const members = index.get(group);
  if (members === undefined) index.set(group, new Map([[id, value]]));
  else members.set(id, value);
}

function take<V>(index: Map<string, Map<string, V>>, group: string, id: string): void {
  const members = index.get(group);
  members?.delete(id);
  if (members?.size === 0) index.delete(group);
}
