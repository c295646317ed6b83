/** The difference of two netmaps, and a netmap with a delta applied: what edge and replica agree on. */
import { CausewayError } from '../errors.ts';
import {
  NETMAP_FORMAT,
  type Netmap,
  type NetmapDelta,
  type NetmapPeer,
  type PeerPatch,
  type PeerPrefix,
  type Reserved,
} from './netmap.ts';
import { byConnector, byPrefix, byReplica, reservedPart } from './netmap-order.ts';
import { netmapFault, peerFault } from './netmap-text.ts';

/** How a peer comes from one state to another: as little as says it. */
export type PeerChange =
  | { readonly kind: 'upsert'; readonly peer: NetmapPeer }
  | { readonly kind: 'patch'; readonly patch: PeerPatch };

/** Undefined if nothing changed. */
export function changeOfPeer(
  before: NetmapPeer | undefined,
  after: NetmapPeer,
): PeerChange | undefined {
  if (before === undefined || JSON.stringify(rest(before)) !== JSON.stringify(rest(after))) {
    return { kind: 'upsert', peer: after };
  }
  const old = new Map(before.prefixes.map(({ prefix, priority }) => [prefix, priority]));
  const set = after.prefixes.filter(({ prefix, priority }) => old.get(prefix) !== priority);
  for (const { prefix } of after.prefixes) old.delete(prefix);
  const remove = [...old.keys()];
  if (set.length + remove.length === 0) return undefined;
  if (set.length + remove.length > after.prefixes.length) return { kind: 'upsert', peer: after };
  const { replica, connector } = after;
  return { kind: 'patch', patch: { replica, connector, set, remove } };
}

function rest({ prefixes: _, ...others }: NetmapPeer): Omit<NetmapPeer, 'prefixes'> {
  return others;
}

/** What makes `before` into `after`, two netmaps of one replica; undefined if only the revision does. */
export function diffNetmap(before: Netmap, after: Netmap): NetmapDelta | undefined {
  const old = new Map(before.peers.map((peer) => [peer.replica, peer]));
  const upsert: NetmapPeer[] = [];
  const patch: PeerPatch[] = [];
  for (const peer of after.peers) {
    const change = changeOfPeer(old.get(peer.replica), peer);
    old.delete(peer.replica);
    if (change?.kind === 'upsert') upsert.push(change.peer);
    else if (change?.kind === 'patch') patch.push(change.patch);
  }
  const remove = [...old.keys()];
  const self = JSON.stringify(before.self) !== JSON.stringify(after.self);
  const edges = JSON.stringify(before.edges) !== JSON.stringify(after.edges);
  const policy = JSON.stringify(before.policy) !== JSON.stringify(after.policy);
  const reserved = JSON.stringify(before.reserved) !== JSON.stringify(after.reserved);
  if (!self && !edges && !policy && !reserved && upsert.length + patch.length + remove.length === 0)
    return undefined;
  return {
    format: NETMAP_FORMAT,
    revision: after.revision,
    ...(self && { self: after.self }),
    ...(upsert.length > 0 && { upsert }),
    ...(patch.length > 0 && { patch }),
    ...(remove.length > 0 && { remove }),
    ...(edges && { edges: after.edges }),
    ...(policy && { policy: after.policy ?? null }),
    ...(reserved && { reserved: { whole: true, holders: after.reserved ?? [] } }),
  };
}

/**
 * The netmap after a delta that `decodeDelta` let pass; the one given is not changed. A delta that is
 * not newer changes nothing.
 *
 * @throws CausewayError NETMAP_INVALID if the delta does not fit; the netmap stays good then
 */
export function applyDelta(netmap: Netmap, delta: NetmapDelta): Netmap {
  if (delta.revision <= netmap.revision) return netmap;
  const self = delta.self ?? netmap.self;
  const { replica, connector, vnet } = netmap.self;
  if (self.replica !== replica || self.connector !== connector || self.vnet !== vnet) {
    throw invalid('it is for another replica');
  }
  const edges = delta.edges ?? netmap.edges;
  const peers = applyToPeers(netmap, delta);
  const policy = delta.policy === undefined ? netmap.policy : (delta.policy ?? undefined);
  const kept = delta.policy === undefined ? netmap.laterPolicy : undefined;
  const laterPolicy = delta.laterPolicy ?? kept;
  const next: Netmap = {
    format: NETMAP_FORMAT,
    revision: delta.revision,
    self,
    peers,
    edges,
    ...(policy && { policy }),
    ...(laterPolicy !== undefined && { laterPolicy }),
    ...(delta.policy !== null && reservedPart(applyToReserved(netmap, delta))),
  };
  // What was so before needs no second look, unless what it was measured by has changed.
  const sameMeasure =
    delta.edges === undefined &&
    self.relayId === netmap.self.relayId &&
    self.meshRanges.ipv4 === netmap.self.meshRanges.ipv4 &&
    self.meshRanges.ipv6 === netmap.self.meshRanges.ipv6;
  const fault = sameMeasure
    ? (netmapFault({ ...next, peers: [] }) ?? changedFault(netmap, next))
    : netmapFault(next);
  if (fault !== undefined) throw invalid(fault);
  return next;
}

function applyToReserved({ reserved = [] }: Netmap, delta: NetmapDelta): Reserved[] {
  if (delta.reserved === undefined) return reserved;
  const { whole, holders } = delta.reserved;
  const next = new Map((whole ? [] : reserved).map((one) => [one.connector, one]));
  for (const holder of holders) {
    if (holder.prefixes.length === 0) next.delete(holder.connector);
    else next.set(holder.connector, holder);
  }
  return [...next.values()].sort(byConnector);
}

function applyToPeers({ self, peers }: Netmap, delta: NetmapDelta): NetmapPeer[] {
  if (!delta.upsert && !delta.patch && !delta.remove) return peers;
  const next = new Map(peers.map((peer) => [peer.replica, peer]));
  for (const replica of delta.remove ?? []) next.delete(replica);
  for (const peer of delta.upsert ?? []) {
    if (peer.connector !== self.connector) next.set(peer.replica, peer);
  }
  for (const patch of delta.patch ?? []) {
    if (patch.connector === self.connector) continue;
    const peer = next.get(patch.replica);
    if (peer === undefined) throw invalid(`it changes ${patch.replica}, which is no peer`);
    next.set(peer.replica, { ...peer, prefixes: patched(peer.prefixes, patch) });
  }
  return [...next.values()].sort(byReplica);
}

/** What is wrong with the peers that changed: with each, or that another has what it has. */
function changedFault(before: Netmap, { self, peers, edges }: Netmap): string | undefined {
  const old = new Set(before.peers);
  const changed = peers.filter((peer) => !old.has(peer));
  const keys = new Map<string, unknown>();
  const relayIds = new Map<number, unknown>();
  for (const peer of changed) {
    const fault = peerFault(peer, self);
    if (fault !== undefined) return fault;
    keys.set(peer.publicKey, peer);
    relayIds.set(peer.relayId, peer);
  }
  if (changed.length === 0) return undefined;
  for (const node of [...peers, ...edges]) {
    if ((keys.get(node.publicKey) ?? node) !== node) return 'two peers have one public key';
    if ((relayIds.get(node.relayId) ?? node) !== node) return 'two peers have one relay id';
  }
  return undefined;
}

function patched(prefixes: readonly PeerPrefix[], patch: PeerPatch): PeerPrefix[] {
  const result = new Map(prefixes.map((entry) => [entry.prefix, entry]));
  for (const prefix of patch.remove) result.delete(prefix);
  for (const entry of patch.set) result.set(entry.prefix, entry);
  return [...result.values()].sort(byPrefix);
}

function invalid(fault: string): CausewayError {
  return new CausewayError('NETMAP_INVALID', `The edge sent a change that does not fit: ${fault}.`);
}
