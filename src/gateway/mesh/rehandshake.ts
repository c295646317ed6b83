/** Peers that may have lost their sessions with us, or have some with our predecessor, get new ones at once. */
import { keyFromBase64 } from '../../keys.ts';
import type { Tunnel } from '../tunnel.ts';

/** At a time: a handshake is work for both. */
const MOST_REHANDSHAKES = 64;

/** @param peers those beyond the first MOST_REHANDSHAKES shake hands when there is something to send */
export async function rehandshake(
  tunnel: Pick<Tunnel, 'apply'>,
  peers: readonly { readonly publicKey: string }[],
): Promise<void> {
  if (peers.length === 0) return;
  await tunnel.apply({
    peers: peers.slice(0, MOST_REHANDSHAKES).map(({ publicKey }) => {
      return { publicKey: keyFromBase64(publicKey)!, updateOnly: true, rehandshake: true };
    }),
  });
}
