/** One line about a gateway, for the service manager's status. */
import { keyToBase64 } from '../../keys.ts';
import type { MeshGateway } from './mesh-daemon.ts';

/** REJECT_AFTER_TIME (WireGuard whitepaper § 6.2) in ms: a session is over by then. */
const SESSION_LASTS = 180_000;

export function summarizeMesh({ identity, netmap, streamState, tunnel }: MeshGateway): string {
  if (identity.gone !== undefined) return `${identity.name}: deleted at the edge`;
  const since = Date.now() - SESSION_LASTS;
  const live = new Set(
    tunnel
      .snapshot()
      .peers.filter(({ lastHandshake }) => lastHandshake > since)
      .map(({ publicKey }) => keyToBase64(publicKey)),
  );
  const isLive = ({ publicKey }: { readonly publicKey: string }): boolean => live.has(publicKey);
  const { peers, edges } = netmap ?? { peers: [], edges: [] };
  const relays = `${edges.filter(isLive).length} of ${edges.length} relays bound`;
  const sessions = `${peers.filter(isLive).length} in session`;
  const edge = streamState.state === 'open' ? 'edge connected' : 'edge not connected';
  return `${identity.name}: ${edge}, ${relays}, ${peers.length} peers (${sessions})`;
}
