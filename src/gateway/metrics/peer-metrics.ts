/** Metrics of each peer and of each edge. A peer is one replica of a connector. */
import type { MeshPeer, MeshStatus } from '../mesh/mesh-status.ts';
import { isInSession, MAX_SHOWN, type MetricsTable, secondsOf } from './gateway-metrics.ts';

const PATHS = ['direct', 'relayed', 'none'] as const;
const PEER = ['connector', 'replica'] as const;

type Labels = Record<(typeof PEER)[number], string>;

export function addPeerMetrics(table: MetricsTable): void {
  table.gauges('causeway_gateway_peers', 'Peers by path', ['path'], ({ peers }, set) => {
    const counts = new Map<string, number>(PATHS.map((path) => [path, 0]));
    for (const { path } of peers) counts.set(path.kind, counts.get(path.kind)! + 1);
    for (const [path, peers] of counts) set({ path }, peers);
  });
  table.gauge(
    'causeway_gateway_peers_in_session',
    'Peers whose last handshake is younger than 180 s',
    ({ peers }, now) => peers.filter(({ lastHandshake: at }) => isInSession(at, now)).length,
  );
  table.gauge(
    'causeway_gateway_peers_not_shown',
    `Peers without series of their own: those with the least traffic beyond ${MAX_SHOWN}`,
    ({ peers }) => Math.max(0, peers.length - MAX_SHOWN),
  );
  /** A value of each peer; undefined = it has none. */
  const ofPeers = (
    kind: 'gauges' | 'counters',
    name: string,
    help: string,
    read: (peer: MeshPeer) => number | undefined,
  ): void => {
    table[kind](`causeway_gateway_peer_${name}`, help, PEER, (status, set) => {
      for (const peer of shown(status)) {
        const value = read(peer);
        if (value !== undefined) set(labelsOf(peer), value);
      }
    });
  };
  ofPeers('counters', 'receive_bytes_total', 'UDP payload received from the peer', (peer) => {
    return peer.rxBytes;
  });
  ofPeers('counters', 'transmit_bytes_total', 'UDP payload sent to the peer', (peer) => {
    return peer.txBytes;
  });
  ofPeers('gauges', 'last_handshake_seconds', 'Last handshake; absent = never', (peer) => {
    return peer.lastHandshake === null ? undefined : secondsOf(peer.lastHandshake);
  });
  ofPeers('gauges', 'serving', "Whether the peer carries its connector's prefixes", (peer) => {
    return Number(peer.serving);
  });
  ofPeers(
    'gauges',
    'path_mtu_bytes',
    'Largest packet that the path carries; absent = not known',
    (peer) => {
      return peer.mtu ?? undefined;
    },
  );
  ofPeers('gauges', 'rtt_seconds', 'Round-trip time of the path; absent = not known', (peer) => {
    return peer.rtt === null ? undefined : peer.rtt / 1_000;
  });
  table.gauges(
    'causeway_gateway_peer_path',
    'The path to the peer: 1 for the one in use',
    [...PEER, 'path'],
    (status, set) => {
      for (const peer of shown(status)) {
        for (const path of PATHS) set({ ...labelsOf(peer), path }, Number(path === peer.path.kind));
      }
    },
  );
  addEdgeMetrics(table);
}

function addEdgeMetrics(table: MetricsTable): void {
  const name = (what: string): string => `causeway_gateway_edge_${what}`;
  table.gauges(
    name('bound'),
    "Whether there is a session with the edge's relay",
    ['edge'],
    ({ edges }, set) => {
      const now = Date.now();
      for (const { name: edge, lastHandshake: at } of edges) {
        set({ edge }, Number(isInSession(at, now)));
      }
    },
  );
  table.gauges(name('last_handshake_seconds'), 'Last handshake', ['edge'], ({ edges }, set) => {
    for (const { name: edge, lastHandshake: at } of edges) if (at) set({ edge }, secondsOf(at));
  });
  table.counters(
    name('receive_bytes_total'),
    'UDP payload from the edge itself, not what it relays',
    ['edge'],
    ({ edges }, set) => {
      for (const { name: edge, rxBytes } of edges) set({ edge }, rxBytes);
    },
  );
  table.counters(
    name('transmit_bytes_total'),
    'UDP payload to the edge itself, not what it relays',
    ['edge'],
    ({ edges }, set) => {
      for (const { name: edge, txBytes } of edges) set({ edge }, txBytes);
    },
  );
}

/** All, or those with the most traffic. */
function shown({ peers }: MeshStatus): readonly MeshPeer[] {
  if (peers.length <= MAX_SHOWN) return peers;
  const bytes = ({ rxBytes, txBytes }: MeshPeer): number => rxBytes + txBytes;
  return peers.toSorted((a, b) => bytes(b) - bytes(a)).slice(0, MAX_SHOWN);
}

function labelsOf({ connector, replica }: MeshPeer): Labels {
  return { connector, replica };
}
