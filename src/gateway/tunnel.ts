/**
 * What the control side of the daemon (UAPI, local socket, lifecycle) knows of the data plane: one
 * interface that carries packets, changes its configuration as a whole or not at all, and can be
 * looked at without stopping.
 */
import type { DropReason } from '../drops.ts';
import type { PresharedKey, PrivateKey, PublicKey } from '../keys.ts';
import type { DeviceChange, PeerEndpoint } from '../wireguard/configuration.ts';
import type { CaptureOptions, TunnelCapture } from './capture/tunnel-capture.ts';
import type { Log } from './log.ts';

/** The POSIX errors that a change can end with; the UAPI answers their (negative) numbers. */
export type TunnelErrno =
  | 'EINVAL'
  | 'EADDRINUSE'
  | 'EACCES'
  | 'EPERM'
  | 'EPROTO'
  | 'EIO'
  | 'ENODEV'
  | 'ENOMEM'
  | 'ENOSPC';

/** A change that was refused; nothing of it was applied. */
export class TunnelError extends Error {
  readonly errno: TunnelErrno;

  constructor(errno: TunnelErrno, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'TunnelError';
    this.errno = errno;
  }
}

/** What path frames have measured. */
export interface PathFigures {
  /** Milliseconds, 0 = not measured. */
  readonly roundTrip: number;
  /** Bytes of the largest inner packet that gets through, 0 = not known. */
  readonly mtu: number;
  /** Whether probes of that size are answered, and larger ones not or not needed. */
  readonly confirmed: boolean;
}

/** What changes by itself while packets flow. */
export interface PeerStatistics {
  /** Where the peer was heard last, or configured to be; undefined = none yet. */
  readonly endpoint: PeerEndpoint | undefined;
  /** Milliseconds since the Unix epoch, may have a fraction; 0 = never. */
  readonly lastHandshake: number;
  /** UDP payload bytes of WireGuard messages, as wireguard-go counts them. */
  readonly rxBytes: number;
  readonly txBytes: number;
  /** Undefined = no path frames are exchanged with the peer, or it is not known yet. */
  readonly path?: PathFigures;
}

export interface PeerSnapshot extends PeerStatistics {
  readonly publicKey: PublicKey;
  /** Undefined = none. */
  readonly presharedKey: PresharedKey | undefined;
  /** Seconds, 0 = off. */
  readonly persistentKeepalive: number;
  /** Packed records as in `PeerChange.allowedIps`, all of operation "add", in order of addition. */
  readonly allowedIps: Uint8Array;
}

/** Figures of the whole data plane. */
export interface TunnelStatistics {
  /** The UDP port bound in fact; 0 = not bound. */
  readonly listenPort: number;
  /** Every reason with a count above zero, in the order of the list. */
  readonly drops: readonly (readonly [DropReason, number])[];
  /** The AEAD in use. */
  readonly crypto: 'noble' | 'openssl';
  /** Offloads in use, by the kernel's names: `tso`, `uso`, `udp-gso`, `udp-gro` … */
  readonly offloads: readonly string[];
}

export interface TunnelSnapshot extends TunnelStatistics {
  readonly interfaceName: string;
  /** Undefined = none set. */
  readonly privateKey: PrivateKey | undefined;
  readonly publicKey: PublicKey | undefined;
  /** SO_MARK, 0 = none. */
  readonly fwmark: number;
  readonly peers: readonly PeerSnapshot[];
}

/** Why a tunnel ended. */
export type TunnelEnd =
  | { readonly cause: 'closed' }
  | { readonly cause: 'interface-removed' }
  | { readonly cause: 'failed'; readonly error: Error };

export interface Tunnel {
  /** The kernel's name of the interface at the time of opening. */
  readonly interfaceName: string;
  /**
   * Applies a change as a whole or not at all; changes are applied in order of the calls.
   *
   * @throws TunnelError
   */
  apply(change: DeviceChange): Promise<void>;
  /** Configuration and statistics at this moment; does not stop packets. */
  snapshot(): TunnelSnapshot;
  /**
   * Begins to capture decrypted packets.
   *
   * @throws CausewayError LIMIT_REACHED while another capture runs
   */
  capture(options: CaptureOptions): Promise<TunnelCapture>;
  /** Called when the path to a peer carries other sizes: bytes, 0 = not known any more. */
  watchPaths(listener: (publicKey: PublicKey, mtu: number) => void): void;
  /** Resolves, never rejects, when the interface vanished, the data plane failed, or `close()`. */
  readonly closed: Promise<TunnelEnd>;
  /** Removes the interface and frees everything. Harmless when called again. */
  close(): Promise<void>;
}

/** What `openTunnel` of the data plane takes. */
export interface TunnelOptions {
  readonly interfaceName: string;
  readonly mtu: number;
  readonly crypto: 'auto' | 'noble' | 'openssl';
  readonly log: Log;
}

/**
 * Creates the interface and starts the data plane on it.
 *
 * @throws CausewayError INTERFACE_NAME, INTERFACE_EXISTS, PERMISSION, TUN_MISSING,
 *   CRYPTO_UNAVAILABLE, ADDON_MISSING or START_FAILED; nothing is left behind then
 */
export type OpenTunnel = (options: TunnelOptions) => Promise<Tunnel>;
