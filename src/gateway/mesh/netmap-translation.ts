/**
 * A netmap as the data plane and the kernel need it, and the smallest change from one to the next.
 * Pure: what a host name of an edge resolves to comes in as a function.
 *
 * Every edge is a peer without allowed IPs, kept alive so that NATs on the way stay open and the edge
 * knows where we are. Every replica of another connector is a peer at the first edge's address with
 * its own relay id; the one that serves has the connector's mesh IPs and prefixes as allowed IPs. Of
 * connectors that have the same prefix, the one with the lowest priority value gets it. A default route
 * is a peer's only if this gateway chose that peer for its Internet traffic.
 */
import { equalBytes } from '../../bytes.ts';
import {
  BREAKOUT_FAMILIES,
  type BreakoutFamily,
  type BreakoutOffer,
  type BreakoutWay,
  chooseBreakout,
  defaultFamilies,
  isDefaultRoute,
  NO_BREAKOUT,
} from '../../control/breakout.ts';
import type { Netmap, NetmapPeer } from '../../control/netmap.ts';
import { keyFromBase64 } from '../../keys.ts';
import { joined } from '../../routing/lists.ts';
import { type InterfaceAddress, type Prefix, parsePrefix } from '../../routing/prefix.ts';
import type {
  DeviceChange,
  PeerChange,
  PeerEndpoint,
  RelayEndpoint,
} from '../../wireguard/configuration.ts';
import { AllowedIpRecords } from '../allowed-ip-records.ts';
import { formatEndpoint } from '../endpoint-text.ts';
import type { BreakoutChoice } from './breakout-choice.ts';
import { PrefixOwners } from './prefix-owners.ts';

/** Seconds between keepalives to an edge: below the 30 s after which NATs forget at the earliest. */
export const EDGE_KEEPALIVE = 20;

/** Where an edge is reached; undefined = its addresses are not known. */
export interface ResolvedEdge {
  /** The address in use. */
  readonly endpoint: PeerEndpoint | undefined;
  /** All addresses from which it may relay to us. */
  readonly all: readonly PeerEndpoint[];
}

interface WantedPeer {
  readonly publicKey: Uint8Array;
  readonly endpoint: PeerEndpoint | undefined;
  /** Seconds, 0 = off. */
  readonly keepalive: number;
  /** A replica, not an edge: paths to it are measured. */
  readonly pathFrames: boolean;
  /** By their text. */
  readonly allowedIps: ReadonlyMap<string, Prefix>;
}

/** A prefix of the mesh and who carries it. */
export interface MeshRoute {
  readonly text: string;
  readonly prefix: Prefix;
  /** Name of the connector. */
  readonly connector: string;
  readonly priority: number;
  readonly publicKey: string;
}

/** Of one peer; where it has not changed, the same list. */
export interface RoutedPrefixes {
  /** In base64; undefined = of no peer in particular. */
  readonly publicKey: string | undefined;
  readonly prefixes: readonly Prefix[];
}

export interface Wanted {
  /** By public key in base64: edges, then replicas in the netmap's order. */
  readonly peers: ReadonlyMap<string, WantedPeer>;
  readonly relays: readonly RelayEndpoint[];
  /** Our mesh IPs. */
  readonly addresses: readonly InterfaceAddress[];
  /** To be routed into the interface: the mesh ranges, and what other connectors carry. */
  readonly routed: readonly RoutedPrefixes[];
  /** What other connectors carry, without mesh IPs: of each peer; where it has not changed, the same list. */
  readonly routeLists: readonly (readonly MeshRoute[])[];
  /** All of them. Put together when it is asked for. */
  readonly routes: readonly MeshRoute[];
  /** Where the Internet traffic of each family goes. */
  readonly breakout: Readonly<Record<BreakoutFamily, BreakoutWay<PeerOffer>>>;
}

/** A peer that could take Internet traffic. */
export interface PeerOffer extends BreakoutOffer {
  readonly peer: NetmapPeer;
}

type Choice = Pick<BreakoutChoice, 'wish' | 'isSilent'>;
const NO_CHOICE: Choice = { wish: NO_BREAKOUT, isSilent: () => false };

/** Translates netmaps of one gateway. What a netmap has in common with the one before is not done anew. */
export class NetmapTranslator {
  readonly #owners = new PrefixOwners();
  readonly #carried = new Map<NetmapPeer, Carried>();
  /** By replica, for what the next state of a peer has in common with this. */
  #peers: ReadonlyMap<string, NetmapPeer> = new Map();
  readonly #own = new Map<string, Prefix>();

  /** @param choice by whom Internet traffic is to leave */
  translate(
    netmap: Netmap,
    edgeOf: (id: string) => ResolvedEdge,
    choice: Choice = NO_CHOICE,
  ): Wanted {
    const heard = netmap.peers.filter((peer) => !choice.isSilent(peer));
    const breakout = chooseBreakout(choice.wish, offersOf(heard));
    const peers = new Map<string, WantedPeer>();
    const relays: RelayEndpoint[] = [];
    for (const edge of netmap.edges) {
      const { endpoint, all } = edgeOf(edge.id);
      const publicKey = keyOf(edge.publicKey);
      for (const address of all) relays.push({ ...address, publicKey });
      peers.set(edge.publicKey, {
        publicKey,
        endpoint,
        keepalive: EDGE_KEEPALIVE,
        pathFrames: false,
        allowedIps: new Map(),
      });
    }
    const relay = netmap.edges
      .map((edge) => edgeOf(edge.id).endpoint)
      .find((found) => found !== undefined);
    this.#take(netmap.peers);
    const carried = netmap.peers.map((peer) => this.#carry(peer, breakout, relay));
    for (const [i, { wanted }] of carried.entries()) peers.set(netmap.peers[i]!.publicKey, wanted);
    const { mesh, meshRanges } = netmap.self;
    const own = ownPriorities(netmap);
    const isForeign = ({ text, priority }: MeshRoute): boolean =>
      isDefaultRoute(text) || !isOurs(own, text, priority);
    // Whoever has none of our own prefixes need not be looked through.
    const rivals = new Set([...own.keys()].map((text) => this.#owners.ownerOf(text)));
    const ranges = [meshRanges.ipv4, meshRanges.ipv6].map((text) => this.#ownPrefix(text));
    const routed: RoutedPrefixes[] = [{ publicKey: undefined, prefixes: ranges }];
    for (const [i, { routes, prefixes }] of carried.entries()) {
      const peer = netmap.peers[i]!;
      const foreign = (): Prefix[] => routes.filter(isForeign).map(({ prefix }) => prefix);
      const some = rivals.has(peer) ? foreign() : prefixes;
      if (some.length > 0) routed.push({ publicKey: peer.publicKey, prefixes: some });
    }
    const addresses = [mesh.ipv4, mesh.ipv6].map(prefixOfText);
    const routeLists = carried.map((one) => one.routes);
    return {
      ...{ peers, relays, addresses, routed, routeLists, breakout },
      get routes() {
        return joined(routeLists);
      },
    };
  }

  /** The owners of prefixes as these peers claim them; what that does not change stays. */
  #take(peers: readonly NetmapPeer[]): void {
    for (const peer of this.#owners.update(peers)) this.#carried.delete(peer);
    const next = new Map(peers.map((peer) => [peer.replica, peer]));
    for (const peer of peers) {
      const former = this.#peers.get(peer.replica);
      if (former !== peer) parsePrefixes(peer, former);
    }
    for (const peer of this.#peers.values()) {
      if (next.get(peer.replica) !== peer) this.#carried.delete(peer);
    }
    this.#peers = next;
  }

  #carry(peer: NetmapPeer, breakout: Wanted['breakout'], relay: PeerEndpoint | undefined): Carried {
    const takes = BREAKOUT_FAMILIES.filter((family) => takerOf(breakout[family]) === peer).join();
    const before = this.#carried.get(peer);
    if (before !== undefined && before.takes === takes && sameWay(before.relay, relay))
      return before;
    const allowedIps = new Map<string, Prefix>();
    const routes: MeshRoute[] = [];
    if (peer.serving) {
      const parsed = prefixesOf(peer);
      for (const text of [peer.mesh.ipv4, peer.mesh.ipv6]) allowedIps.set(text, parsed.get(text)!);
      for (const { prefix: text, priority } of peer.prefixes) {
        const [family] = isDefaultRoute(text) ? defaultFamilies([text]) : [];
        const owner = family === undefined ? this.#owners.ownerOf(text) : takerOf(breakout[family]);
        if (owner !== peer) continue;
        const prefix = parsed.get(text)!;
        allowedIps.set(text, prefix);
        const { name: connector, publicKey } = peer;
        routes.push({ text, prefix, connector, priority, publicKey });
      }
    }
    const wanted: WantedPeer = {
      publicKey: keyOf(peer.publicKey),
      endpoint: relay && { ...relay, relayId: peer.relayId },
      keepalive: 0,
      pathFrames: true,
      allowedIps,
    };
    const prefixes = routes.map(({ prefix }) => prefix);
    const carried = { takes, relay, wanted, routes, prefixes };
    this.#carried.set(peer, carried);
    return carried;
  }

  /** The same object for the same text: what is unchanged is known by it. */
  #ownPrefix(text: string): Prefix {
    const known = this.#own.get(text) ?? prefixOfText(text);
    this.#own.set(text, known);
    return known;
  }
}

/** What a peer carries, and what that depends on beside the peer and the owners of its prefixes. */
interface Carried {
  /** Families of the Internet traffic that it takes. */
  readonly takes: string;
  readonly relay: PeerEndpoint | undefined;
  readonly wanted: WantedPeer;
  readonly routes: readonly MeshRoute[];
  /** Those of the routes. */
  readonly prefixes: readonly Prefix[];
}

function sameWay(a: PeerEndpoint | undefined, b: PeerEndpoint | undefined): boolean {
  return a === b || (b !== undefined && sameEndpoint(a, b));
}

/** One netmap by itself. @param choice by whom Internet traffic is to leave */
export function translateNetmap(
  netmap: Netmap,
  edgeOf: (id: string) => ResolvedEdge,
  choice: Choice = NO_CHOICE,
): Wanted {
  return new NetmapTranslator().translate(netmap, edgeOf, choice);
}

/** Connectors with an approved default route and a replica to carry it. */
function offersOf(peers: readonly NetmapPeer[]): PeerOffer[] {
  return peers.flatMap((peer): PeerOffer[] => {
    const families = defaultsOf(peer);
    return families.length === 0 ? [] : [{ id: peer.connector, name: peer.name, families, peer }];
  });
}

/** Of a peer that is the same object, the same. */
const knownDefaults = new WeakMap<NetmapPeer, BreakoutFamily[]>();

function defaultsOf(peer: NetmapPeer): BreakoutFamily[] {
  const families =
    knownDefaults.get(peer) ?? defaultFamilies(peer.prefixes.map(({ prefix }) => prefix));
  knownDefaults.set(peer, families);
  return families;
}

function takerOf(way: BreakoutWay<PeerOffer>): NetmapPeer | undefined {
  return way.kind === 'through' ? way.by.peer : undefined;
}

/** Our own route of the prefix is preferred, or as good. */
function isOurs(own: ReadonlyMap<string, number>, text: string, priority: number): boolean {
  return (own.get(text) ?? Number.POSITIVE_INFINITY) <= priority;
}

/** Prefixes that our own site has, with the priority that another's is compared with. */
function ownPriorities({ self }: Netmap): Map<string, number> {
  const approved = self.routes.filter((route) => route.approved);
  return new Map(approved.map(({ prefix, priority }) => [prefix, priority]));
}

/**
 * What makes a device of `before` one of `after`; undefined = nothing. Without `before` it replaces
 * whatever the device has.
 */
export function changeBetween(before: Wanted | undefined, after: Wanted): DeviceChange | undefined {
  const relays = sameRelays(before?.relays ?? [], after.relays) ? undefined : after.relays;
  const peers: PeerChange[] = [];
  for (const [key, peer] of before?.peers ?? []) {
    if (!after.peers.has(key)) peers.push({ publicKey: peer.publicKey, remove: true });
  }
  for (const [key, peer] of after.peers) {
    const change = peerChange(before?.peers.get(key), peer);
    if (change !== undefined) peers.push(change);
  }
  if (before !== undefined && peers.length === 0 && relays === undefined) return undefined;
  return { ...(before === undefined && { replacePeers: true }), ...(relays && { relays }), peers };
}

function peerChange(before: WantedPeer | undefined, after: WantedPeer): PeerChange | undefined {
  if (before === after) return undefined;
  const { publicKey, endpoint, keepalive, pathFrames } = after;
  const records = new AllowedIpRecords();
  for (const [text, prefix] of before?.allowedIps ?? []) {
    if (!after.allowedIps.has(text)) records.remove(prefix);
  }
  for (const [text, prefix] of after.allowedIps) {
    if (!before?.allowedIps.has(text)) records.add(prefix);
  }
  const change: PeerChange = {
    publicKey,
    ...(endpoint !== undefined && !sameEndpoint(before?.endpoint, endpoint) && { endpoint }),
    ...(pathFrames !== (before?.pathFrames ?? false) && { pathFrames }),
    ...(keepalive !== (before?.keepalive ?? 0) && { persistentKeepalive: keepalive }),
    ...(records.count > 0 && { allowedIps: records.bytes() }),
  };
  return before !== undefined && Object.keys(change).length === 1 ? undefined : change;
}

function sameEndpoint(a: PeerEndpoint | undefined, b: PeerEndpoint): boolean {
  return (
    a !== undefined &&
    formatEndpoint(a) === formatEndpoint(b) &&
    (a.relayId ?? 0) === (b.relayId ?? 0)
  );
}

function sameRelays(a: readonly RelayEndpoint[], b: readonly RelayEndpoint[]): boolean {
  const same = (one: RelayEndpoint, other: RelayEndpoint): boolean =>
    sameEndpoint(one, other) && equalBytes(one.publicKey, other.publicKey);
  return a.length === b.length && a.every((relay, i) => same(relay, b[i]!));
}

/** A delta leaves the objects of other peers as they are: their prefixes need not be read again. */
const parsedPrefixes = new WeakMap<NetmapPeer, ReadonlyMap<string, Prefix>>();

/** Mesh IPs and prefixes, by their text. */
function prefixesOf(peer: NetmapPeer): ReadonlyMap<string, Prefix> {
  return parsedPrefixes.get(peer) ?? parsePrefixes(peer, undefined);
}

/** Those that a former state of the peer has as well are the same objects. */
function parsePrefixes(peer: NetmapPeer, former: NetmapPeer | undefined) {
  const known = former && parsedPrefixes.get(former);
  const texts = [peer.mesh.ipv4, peer.mesh.ipv6, ...peer.prefixes.map(({ prefix }) => prefix)];
  const parsed = new Map(texts.map((text) => [text, known?.get(text) ?? prefixOfText(text)]));
  parsedPrefixes.set(peer, parsed);
  return parsed;
}

/** The schemas let only canonical prefixes and keys through. */
function prefixOfText(text: string): Prefix {
  return parsePrefix(text)!;
}

function keyOf(text: string): Uint8Array {
  return keyFromBase64(text)!;
}
