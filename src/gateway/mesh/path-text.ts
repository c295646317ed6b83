/** The path to a peer in words. */
import type { MeshPeer } from './mesh-status.ts';

/** `relayed via edge-1 (192.0.2.1:51820)`. */
export function describePath({ kind, edge, endpoint }: MeshPeer['path']): string {
  if (kind === 'none') return 'none yet';
  if (kind === 'direct') return `direct (${endpoint})`;
  return `relayed via ${edge ?? 'an edge'} (${endpoint})`;
}
