/** What the main thread and the relay's worker say to each other. Counters are in shared memory. */
import { PairCounters } from '../../control/relay/pair-counters.ts';
import type { PairClasses } from '../../control/relay/pair-permissions.ts';
import { DEFAULT_RELAY_LIMITS } from '../../control/relay/relay-core.ts';
import { RelayDropCounters } from '../../control/relay/relay-drops.ts';
import { DropCounters } from '../../drops.ts';
import { Heartbeat } from './heartbeat.ts';
import type { BindingEnd, RelayReplica, RelayReplicaChange } from './relay.ts';

/** What the worker opens its sockets with: the first message to it. */
export interface RelayWorkerOptions {
  readonly port: number;
  readonly mark: number;
  readonly privateKey: Uint8Array;
  readonly replicas: readonly RelayReplica[];
  /** Exported by an earlier worker. */
  readonly bindings: Uint8Array | undefined;
  readonly figures: RelayFigures;
}

/** Main thread → worker. */
export type RelayCommand =
  | { readonly kind: 'replicas'; readonly id: number; readonly changes: RelayReplicaChange[] }
  | { readonly kind: 'pairs'; readonly vnet: string; readonly pairs: PairClasses | undefined }
  | { readonly kind: 'export' }
  | { readonly kind: 'close' };

export interface BindingChange {
  readonly relayId: number;
  /** Milliseconds since the Unix epoch. */
  readonly at: number;
  /** Undefined = bound no more. */
  readonly endpoint: string | undefined;
  /** Why it is bound no more. */
  readonly end?: BindingEnd;
}

/** Worker → main thread. */
export type RelayReport =
  | {
      readonly kind: 'ready';
      readonly port: number;
      readonly publicKey: Uint8Array;
      /** Bytes. */
      readonly receiveBuffer: number;
      /** Why OpenSSL's cryptography is not used. */
      readonly refusal: string | undefined;
    }
  /** The sockets could not be opened; the worker ends. */
  | { readonly kind: 'failed'; readonly errno: number }
  | { readonly kind: 'applied'; readonly id: number }
  | { readonly kind: 'bindings'; readonly changes: readonly BindingChange[] }
  | { readonly kind: 'exported'; readonly bytes: Uint8Array }
  /** The kernel took the sockets away; there are new ones on the same port. */
  | { readonly kind: 'reopened' }
  /** The same, but the port cannot be opened now; it is tried until it can. Said once. */
  | { readonly kind: 'reopen-failed'; readonly errno: number }
  /** Handshakes need cookies for the next second. */
  | { readonly kind: 'under-load' };

/** Counters that the worker writes and the main thread reads at any time. */
export interface RelayFigures {
  /** Messages and bytes forwarded: two doubles. */
  readonly forwarded: SharedArrayBuffer;
  readonly relayDrops: SharedArrayBuffer;
  /** Of the edge's own WireGuard. */
  readonly deviceDrops: SharedArrayBuffer;
  readonly pairs: SharedArrayBuffer;
  /** See Heartbeat. */
  readonly heartbeat: SharedArrayBuffer;
}

export function shareRelayFigures(): RelayFigures {
  return {
    forwarded: new SharedArrayBuffer(16),
    relayDrops: new SharedArrayBuffer(RelayDropCounters.BYTES),
    deviceDrops: new SharedArrayBuffer(DropCounters.BYTES),
    pairs: new SharedArrayBuffer(PairCounters.bytesFor(DEFAULT_RELAY_LIMITS.pairs)),
    heartbeat: new SharedArrayBuffer(Heartbeat.BYTES),
  };
}
