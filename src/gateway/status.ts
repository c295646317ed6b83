/**
 * What `connector tunnel status` shows: a snapshot without its secrets, as JSON over the local
 * socket. The same shape is what `--json` prints.
 */
import { DROP_REASONS } from '../drops.ts';
import { keyToBase64 } from '../keys.ts';
import { ALLOWED_IP_RECORD } from '../wireguard/configuration.ts';
import { formatAllowedIp } from './allowed-ip-records.ts';
import { formatEndpoint } from './endpoint-text.ts';
import type { TunnelSnapshot } from './tunnel.ts';

export interface PeerStatus {
  readonly publicKey: string;
  /** Whether a preshared key is set. */
  readonly presharedKey: boolean;
  readonly endpoint?: string | undefined;
  /** ISO 8601; absent = never. */
  readonly lastHandshake?: string | undefined;
  readonly rxBytes: number;
  readonly txBytes: number;
  /** Seconds, 0 = off. */
  readonly persistentKeepalive: number;
  /** The first `MAX_SHOWN` of them. */
  readonly allowedIps: readonly string[];
  readonly allowedIpCount: number;
}

export interface TunnelStatus {
  readonly interface: string;
  readonly pid: number;
  /** ISO 8601. */
  readonly since: string;
  readonly publicKey?: string | undefined;
  /** 0 = not bound. */
  readonly listenPort: number;
  /** 0 = none. */
  readonly fwmark: number;
  readonly crypto: 'noble' | 'openssl';
  readonly offloads: readonly string[];
  readonly peers: readonly PeerStatus[];
  readonly drops: readonly {
    readonly reason: string;
    readonly meaning: string;
    readonly packets: number;
  }[];
}

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
