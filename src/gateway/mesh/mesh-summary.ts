/** One line about a gateway, for the service manager's status. */
import { keyToBase64 } from '../../keys.ts';
import type { MeshView } from './mesh-view.ts';

/** REJECT_AFTER_TIME (WireGuard whitepaper § 6.2) in ms: a session is over by then. */
const SESSION_LASTS = 180_000;

export function summarizeMesh({ identity, inForce, streamState, snapshot }: MeshView): string {
  if (identity.gone !== undefined) return `${identity.name}: deleted at the edge`;
  const since = Date.now() - SESSION_LASTS;
  const live = new Set(
    snapshot.peers
      .filter(({ lastHandshake }) => lastHandshake > since)
      .map(({ publicKey }) => keyToBase64(publicKey)),
  );
  const isLive = ({ publicKey }: { readonly publicKey: string }): boolean => live.has(publicKey);
  const { peers, edges } = inForce.netmap ?? { peers: [], edges: [] };
  const relays = `${edges.filter(isLive).length} of ${edges.length} relays bound`;
  const sessions = `${peers.filter(isLive).length} in session`;
  const edge = streamState.state === 'open' ? 'edge connected' : 'edge not connected';
  return `${identity.name}: ${edge}, ${relays}, ${peers.length} peers (${sessions})`;
}
