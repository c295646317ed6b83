/**
 * The answer to `get=1`: keys and their order as wireguard-go writes them, in pieces of about
 * `PIECE_LENGTH` characters, so that a configuration of any size is never one string.
 */
import { keyToHex } from '../../keys.ts';
import { ALLOWED_IP_RECORD } from '../../wireguard/configuration.ts';
import { formatAllowedIp } from '../allowed-ip-records.ts';
import { formatEndpoint } from '../endpoint-text.ts';
import type { PeerSnapshot, TunnelSnapshot } from '../tunnel.ts';

const PIECE_LENGTH = 32_768;
const NO_KEY = '0'.repeat(64);

/** Everything but the `errno` line. The pieces contain the private key: write them, log nothing. */
export function* encodeSnapshot(snapshot: TunnelSnapshot): Generator<string> {
  let piece = '';
  if (snapshot.privateKey !== undefined) piece += `private_key=${keyToHex(snapshot.privateKey)}\n`;
  if (snapshot.listenPort !== 0) piece += `listen_port=${snapshot.listenPort}\n`;
  if (snapshot.fwmark !== 0) piece += `fwmark=${snapshot.fwmark}\n`;
  for (const peer of snapshot.peers) {
    piece += encodePeer(peer);
    for (let at = 0; at < peer.allowedIps.length; at += ALLOWED_IP_RECORD) {
      piece += `allowed_ip=${formatAllowedIp(peer.allowedIps, at)}\n`;
      if (piece.length >= PIECE_LENGTH) {
        yield piece;
        piece = '';
      }
    }
    if (piece.length >= PIECE_LENGTH) {
      yield piece;
      piece = '';
    }
  }
  if (piece !== '') yield piece;
}

function encodePeer(peer: PeerSnapshot): string {
  const seconds = Math.floor(peer.lastHandshake / 1_000);
  const nanoseconds = Math.floor((peer.lastHandshake - seconds * 1_000) * 1e6);
  const psk = peer.presharedKey === undefined ? NO_KEY : keyToHex(peer.presharedKey);
  const endpoint = peer.endpoint === undefined ? '' : `endpoint=${formatEndpoint(peer.endpoint)}\n`;
  return (
    `public_key=${keyToHex(peer.publicKey)}\n` +
    `preshared_key=${psk}\n` +
    'protocol_version=1\n' +
    endpoint +
    `last_handshake_time_sec=${seconds}\n` +
    `last_handshake_time_nsec=${nanoseconds}\n` +
    `tx_bytes=${peer.txBytes}\n` +
    `rx_bytes=${peer.rxBytes}\n` +
    `persistent_keepalive_interval=${peer.persistentKeepalive}\n`
  );
}
