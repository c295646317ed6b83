/** Puts a gateway's status together from the netmap, the data plane and the kernel. */
import { type BreakoutFamily, isDefaultRoute } from '../../control/breakout.ts';
import { DROP_REASONS } from '../../drops.ts';
import { keyToBase64 } from '../../keys.ts';
import { formatPrefix } from '../../routing/prefix.ts';
import { faultsOf, sentenceOf } from '../doctor/finding.ts';
import { formatEndpoint } from '../endpoint-text.ts';
import type { PeerSnapshot } from '../tunnel.ts';
import { diagnose } from './diagnosis.ts';
import type { MeshEdge, MeshPeer, MeshStatus, RouteInForce } from './mesh-status.ts';
import type { MeshView } from './mesh-view.ts';
import { describePath } from './path-text.ts';

/** With what is wrong, which is asked of the kernel. */
export async function describeMesh(view: MeshView): Promise<MeshStatus> {
  const report = reportMesh(view);
  const findings = await diagnose(view, report);
  return { ...report, findings, problems: faultsOf(findings).map(sentenceOf) };
}

/** But for what is wrong. */
export function reportMesh(view: MeshView): MeshStatus {
  const { snapshot, identity, streamState } = view;
  const { netmap, source } = view.inForce;
  const live = new Map(snapshot.peers.map((peer) => [keyToBase64(peer.publicKey), peer]));
  const edges = describeEdges(view, live);
  const peers = describePeers(view, live, edges);
  return {
    interface: snapshot.interfaceName,
    pid: process.pid,
    since: isoTime(view.since),
    version: view.version,
    connector: {
      id: identity.connector,
      name: netmap?.self.name ?? identity.name,
      vnet: netmap?.self.vnetName ?? null,
    },
    replica: {
      id: identity.replica,
      relayId: netmap?.self.relayId ?? identity.relayId,
      serving: netmap?.self.serving ?? false,
    },
    mesh: netmap === undefined ? null : addressesOf(netmap.self.mesh),
    publicKey: snapshot.publicKey === undefined ? '' : keyToBase64(snapshot.publicKey),
    listenPort: snapshot.listenPort,
    mtu: view.mtu,
    crypto: snapshot.crypto,
    offloads: [...snapshot.offloads],
    stream: {
      state: streamState.state,
      since: isoTime(streamState.since),
      url: streamState.state === 'open' ? streamState.url : null,
      error:
        streamState.state === 'connecting' && streamState.error !== undefined
          ? { code: streamState.error.code, message: streamState.error.message }
          : null,
    },
    netmap:
      netmap === undefined ? null : { revision: netmap.revision, source, refused: view.refused },
    edges,
    peers,
    routes: describeRoutes(view, peers),
    breakout: describeBreakout(view),
    drops: snapshot.drops.map(([reason, packets]) => {
      return { reason, meaning: DROP_REASONS[reason], packets };
    }),
    policy: describePolicy(view),
    flows: describeFlows(view),
    diagnosis: describeDiagnosis(view),
    findings: [],
    problems: [],
  };
}

export function describeDiagnosis({
  diagnosis,
}: Pick<MeshView, 'diagnosis'>): MeshStatus['diagnosis'] {
  return diagnosis === undefined ? null : { ...diagnosis.counts, fault: diagnosis.fault ?? null };
}

function describeFlows({ flows }: MeshView): MeshStatus['flows'] {
  const { oneWay, ...state } = flows.state;
  return { ...state, oneWay: [...oneWay] };
}

function describePolicy({ policy }: MeshView): MeshStatus['policy'] {
  const { state } = policy;
  if (state === undefined) return null;
  const recent = state.recent.map(({ at, port = null, rule = null, ...flow }) => {
    return { ...flow, at: isoTime(at), port, rule };
  });
  return { ...state, counters: { ...state.counters }, recent };
}

function trafficOf(peer: PeerSnapshot | undefined) {
  return {
    lastHandshake: peer && peer.lastHandshake > 0 ? isoTime(peer.lastHandshake) : null,
    rxBytes: peer?.rxBytes ?? 0,
    txBytes: peer?.txBytes ?? 0,
  };
}

type Live = ReadonlyMap<string, PeerSnapshot>;

function describeEdges({ inForce: { netmap }, endpoints }: MeshView, live: Live): MeshEdge[] {
  return (netmap?.edges ?? []).map(({ id, name, publicKey }) => {
    const { endpoint } = endpoints.of(id);
    return {
      name,
      publicKey,
      endpoint: endpoint === undefined ? null : formatEndpoint(endpoint),
      apis: endpoints.apisOf(id).map(formatEndpoint),
      ...trafficOf(live.get(publicKey)),
    };
  });
}

function describePeers(
  { inForce: { netmap }, endpoints }: MeshView,
  live: Live,
  edges: readonly MeshEdge[],
): MeshPeer[] {
  const edgeAt = new Map<string, string>();
  for (const { id, name } of netmap?.edges ?? []) {
    for (const endpoint of endpoints.of(id).all) edgeAt.set(formatEndpoint(endpoint), name);
  }
  return (netmap?.peers ?? []).map((peer) => {
    const known = live.get(peer.publicKey);
    const endpoint = known?.endpoint;
    const text = endpoint === undefined ? null : formatEndpoint(endpoint);
    const relayed = (endpoint?.relayId ?? 0) !== 0;
    return {
      connector: peer.name,
      replica: peer.replica,
      publicKey: peer.publicKey,
      serving: peer.serving,
      mesh: addressesOf(peer.mesh),
      path: {
        kind: text === null ? 'none' : relayed ? 'relayed' : 'direct',
        edge: relayed && text !== null ? (edgeAt.get(text) ?? edges[0]?.name ?? null) : null,
        endpoint: text,
      },
      rtt:
        known?.path === undefined || known.path.roundTrip === 0
          ? null
          : round(known.path.roundTrip),
      mtu: known?.path?.confirmed === true ? known.path.mtu : null,
      prefixes: peer.prefixes.map(({ prefix }) => prefix),
      ...trafficOf(known),
    };
  });
}

function describeRoutes({ inForce, kernel }: MeshView, peers: readonly MeshPeer[]): RouteInForce[] {
  const { netmap, wanted } = inForce;
  if (netmap === undefined || wanted === undefined) return [];
  const routed = new Set(kernel.routes.map(formatPrefix));
  const partly = new Set(kernel.conflicts.map(({ prefix }) => formatPrefix(prefix)));
  const paths = new Map(peers.map((peer) => [peer.publicKey, describePath(peer.path)]));
  const remote = wanted.routes.map(({ text: prefix, ...route }): RouteInForce => {
    const { connector, priority, publicKey } = route;
    const state = routed.has(prefix) ? (partly.has(prefix) ? 'partly local' : 'in force') : 'local';
    return { prefix, connector, priority, state, path: paths.get(publicKey) ?? '' };
  });
  const own = netmap.self.routes.map(({ prefix, priority, approved }): RouteInForce => {
    const state = approved ? 'ours' : 'pending';
    return { prefix, connector: netmap.self.name, priority, state, path: '' };
  });
  const chosen = new Set(wanted.routes.map(({ text, publicKey }) => `${text} ${publicKey}`));
  const offered = netmap.peers.flatMap(({ name: connector, publicKey, prefixes }) =>
    prefixes
      .filter(({ prefix }) => isDefaultRoute(prefix) && !chosen.has(`${prefix} ${publicKey}`))
      .map(({ prefix, priority }): RouteInForce => {
        const path = paths.get(publicKey) ?? '';
        return { prefix, connector, priority, state: 'offered', path };
      }),
  );
  return [...own, ...remote, ...offered];
}

function describeBreakout({ inForce, identity }: MeshView): MeshStatus['breakout'] {
  const { wanted } = inForce;
  const { breakout: wish } = identity;
  if (wanted === undefined || wish === undefined) return null;
  const wayOf = (family: BreakoutFamily) => {
    const way = wanted.breakout[family];
    return { way: way.kind, connector: way.kind === 'through' ? way.by.name : null };
  };
  return { connectors: [...wish.connectors], ipv4: wayOf(4), ipv6: wayOf(6) };
}

/** Without their lengths, which say nothing: `100.96.0.1`. */
function addressesOf({ ipv4, ipv6 }: { readonly ipv4: string; readonly ipv6: string }) {
  return { ipv4: ipv4.split('/')[0]!, ipv6: ipv6.split('/')[0]! };
}

/** Microseconds are as much as is measured. */
function round(milliseconds: number): number {
  return Math.round(milliseconds * 1_000) / 1_000;
}

function isoTime(unix: number): string {
  return new Date(unix).toISOString();
}
