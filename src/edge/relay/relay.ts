/** What the rest of the edge knows of its relay; `openRelay` in relay-process.ts makes one. */
import type { Logger } from 'pino';
import type { PairClasses } from '../../control/relay/pair-permissions.ts';
import type { RelayDropReason } from '../../control/relay/relay-drops.ts';
import type { DropReason } from '../../drops.ts';

/** A replica that may bind, and forward to the bound replicas of its virtual network. */
export interface RelayReplica {
  readonly relayId: number;
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
  /** Identity of the virtual network; only compared. */
  readonly vnet: string;
}

export type RelayReplicaChange =
  /** New, or changed: another public key or virtual network under the id unbinds what was there. */
  | ({ readonly remove?: false } & RelayReplica)
  /** Unbound at once, and counted as unknown from then on. */
  | { readonly relayId: number; readonly remove: true };

/** Where a replica was heard last, authenticated. */
export interface RelayBinding {
  readonly relayId: number;
  /** `192.0.2.1:51820` or `[2001:db8::1]:51820`. */
  readonly endpoint: string;
  /** Milliseconds since the Unix epoch: when it was bound there. */
  readonly since: number;
}

/** Why a replica is bound no more: it is not heard there, or it said that it ends. */
export type BindingEnd = 'silent' | 'stopped';

/**
 * A replica was bound, is bound to another endpoint, or is bound no more (`endpoint` is then where it
 * was, and `end` says why). Told in the order of things, some milliseconds after them.
 */
export type BindingListener = (
  relayId: number,
  bound: boolean,
  at: number,
  endpoint: string,
  end?: BindingEnd,
) => void;

export interface RelayPairStatistics {
  readonly from: number;
  readonly to: number;
  readonly packets: number;
  /** UDP payload bytes. */
  readonly bytes: number;
}

export interface RelayStatistics {
  /** Replicas bound now. */
  readonly bound: number;
  readonly forwardedPackets: number;
  readonly forwardedBytes: number;
  /**
   * Reasons with a count above zero, in packets: those of the relay, then those of the edge's own
   * WireGuard, each in the order of its list.
   */
  readonly drops: readonly (readonly [RelayDropReason | DropReason, number])[];
  /** Pairs that something was forwarded for; one from 0 to 0 counts what found no place of its own. */
  readonly pairs: readonly RelayPairStatistics[];
}

export interface RelayOptions {
  /** UDP port, both families on all addresses; 0 = any. */
  readonly port: number;
  /** The edge's WireGuard key, 32 bytes; its public key is in the join tokens and netmaps. */
  readonly privateKey: Uint8Array;
  /**
   * File that keeps the bindings over a restart (0600, replaced atomically), in the data directory;
   * undefined = nowhere. What it holds counts only for replicas that `replicas` names, and only while
   * it is recent. A file that cannot be read is reported and ignored.
   */
  readonly bindingsFile: string | undefined;
  /** All replicas at the start. */
  readonly replicas: readonly RelayReplica[];
  /** SO_MARK of the sockets; 0 or undefined = none. */
  readonly mark?: number;
  readonly log: Logger;
}

export interface RelayProcess {
  /** The UDP port bound in fact. */
  readonly port: number;
  /** Of the edge. */
  readonly publicKey: Uint8Array;
  /** Applies changes in order; resolves when the worker has them in force. */
  setReplicas(changes: readonly RelayReplicaChange[]): Promise<void>;
  /**
   * Which pairs of a network's replicas it forwards for; undefined = all. `vnet`: as in `RelayReplica`.
   * To be told again when replicas were added.
   */
  setPairs(vnet: string, pairs: PairClasses | undefined): void;
  /** Returns how to stop listening. What is bound already is told first, before this returns. */
  onBinding(listener: BindingListener): () => void;
  /** Bindings now, in order of relay id. */
  bindings(): RelayBinding[];
  statistics(): RelayStatistics;
  /** Milliseconds since the worker was last known to run, with its sockets open. */
  silence(): number;
  /** Resolves, never rejects: undefined after `close()`, an error when the worker has failed. */
  readonly closed: Promise<Error | undefined>;
  /** Writes the bindings and ends the worker, also one that hangs. Harmless when called again. */
  close(): Promise<void>;
}
