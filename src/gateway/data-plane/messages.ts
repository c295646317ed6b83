/** What the main thread and the data-plane worker say to each other. Counters are in shared memory. */
import { DropCounters } from '../../drops.ts';
import type { OpenedTun } from '../../native/addon.ts';
import type { DeviceChange } from '../../wireguard/configuration.ts';
import type { DeviceEvent } from '../../wireguard/events.ts';
import { PeerStatistics } from '../../wireguard/peer-statistics.ts';
import type { TapOptions } from '../capture/packet-tap.ts';
import type { TunnelErrno } from '../tunnel.ts';
import type { CryptoPreference } from './crypto-choice.ts';

/** What the worker starts with. */
export interface WorkerOptions {
  readonly tun: OpenedTun;
  readonly crypto: CryptoPreference;
  readonly maxPeers: number;
  readonly figures: SharedFigures;
}

/** Main thread → worker. */
export type Command =
  | { readonly kind: 'apply'; readonly id: number; readonly change: DeviceChange }
  | { readonly kind: 'link'; readonly up: boolean; readonly mtu: number }
  | { readonly kind: 'routes-changed' }
  | { readonly kind: 'capture'; readonly options: TapOptions }
  | { readonly kind: 'capture-peers'; readonly peers: readonly number[] }
  | { readonly kind: 'capture-end' }
  | { readonly kind: 'close' };

/** A peer's number, by which its figures are found in shared memory. */
export interface PeerNumber {
  readonly publicKey: string;
  readonly number: number;
}

/** Worker → main thread. */
export type Report =
  | { readonly kind: 'ready'; readonly crypto: 'noble' | 'openssl'; readonly refusal?: string }
  | {
      readonly kind: 'applied';
      readonly id: number;
      readonly peers: readonly PeerNumber[];
    }
  | {
      readonly kind: 'refused';
      readonly id: number;
      readonly errno: TunnelErrno;
      readonly message: string;
    }
  | { readonly kind: 'sockets'; readonly port: number; readonly offloads: readonly string[] }
  | { readonly kind: 'bind-failed'; readonly message: string }
  | { readonly kind: 'events'; readonly events: readonly DeviceEvent[] }
  | { readonly kind: 'capturing' }
  | { readonly kind: 'gone' }
  | { readonly kind: 'closed' };

/** Counters that the worker writes and the main thread reads at any time. */
export interface SharedFigures {
  readonly drops: SharedArrayBuffer;
  readonly peers: SharedArrayBuffer;
}

export function shareFigures(maxPeers: number): SharedFigures {
  return {
    drops: new SharedArrayBuffer(DropCounters.BYTES),
    peers: new SharedArrayBuffer(PeerStatistics.bytesFor(maxPeers)),
  };
}
