/**
 * What `connector tunnel status` shows: a snapshot without its secrets, as JSON over the local
 * socket. The schema is the contract of both sides, and of `--json`.
 */
import { z } from 'zod';
import { DROP_REASONS } from '../drops.ts';
import { keyToBase64 } from '../keys.ts';
import { ALLOWED_IP_RECORD } from '../wireguard/configuration.ts';
import { formatAllowedIp } from './allowed-ip-records.ts';
import { formatEndpoint } from './endpoint-text.ts';
import type { TunnelSnapshot } from './tunnel.ts';

const PeerStatus = z.object({
  publicKey: z.string(),
  /** Whether a preshared key is set. */
  presharedKey: z.boolean(),
  endpoint: z.string().optional(),
  /** ISO 8601; absent = never. */
  lastHandshake: z.string().optional(),
  rxBytes: z.number(),
  txBytes: z.number(),
  /** Seconds, 0 = off. */
  persistentKeepalive: z.number(),
  /** The first `MAX_SHOWN` of them. */
  allowedIps: z.array(z.string()),
  allowedIpCount: z.number(),
});

export const TunnelStatus = z.object({
  interface: z.string(),
  pid: z.number(),
  /** ISO 8601. */
  since: z.string(),
  publicKey: z.string().optional(),
  listenPort: z.number(),
  fwmark: z.number(),
  crypto: z.enum(['noble', 'openssl']),
  offloads: z.array(z.string()),
  peers: z.array(PeerStatus),
  drops: z.array(z.object({ reason: z.string(), meaning: z.string(), packets: z.number() })),
});

export type TunnelStatus = z.infer<typeof TunnelStatus>;

/** Allowed IPs listed for a peer; all are counted. */
const MAX_SHOWN = 1_000;

export function statusOf(snapshot: TunnelSnapshot, pid: number, since: string): TunnelStatus {
  return {
    interface: snapshot.interfaceName,
    pid,
    since,
    ...(snapshot.publicKey && { publicKey: keyToBase64(snapshot.publicKey) }),
    listenPort: snapshot.listenPort,
    fwmark: snapshot.fwmark,
    crypto: snapshot.crypto,
    offloads: [...snapshot.offloads],
    peers: snapshot.peers.map((peer) => ({
      publicKey: keyToBase64(peer.publicKey),
      presharedKey: peer.presharedKey !== undefined,
      ...(peer.endpoint && { endpoint: formatEndpoint(peer.endpoint) }),
      ...(peer.lastHandshake > 0 && {
        lastHandshake: new Date(peer.lastHandshake).toISOString(),
      }),
      rxBytes: peer.rxBytes,
      txBytes: peer.txBytes,
      persistentKeepalive: peer.persistentKeepalive,
      allowedIps: formatAll(peer.allowedIps),
      allowedIpCount: peer.allowedIps.length / ALLOWED_IP_RECORD,
    })),
    drops: snapshot.drops.map(([reason, packets]) => ({
      reason,
      meaning: DROP_REASONS[reason],
      packets,
    })),
  };
}

function formatAll(records: Uint8Array): string[] {
  const texts: string[] = [];
  const end = Math.min(records.length, MAX_SHOWN * ALLOWED_IP_RECORD);
  for (let at = 0; at < end; at += ALLOWED_IP_RECORD) texts.push(formatAllowedIp(records, at));
  return texts;
}
