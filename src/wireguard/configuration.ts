/**
 * A change to a device's configuration: what the UAPI's `set`, a configuration file and, later, the
 * netmap all translate into. Plain data that survives structured cloning, applied as a whole or not
 * at all.
 */

/** A change of a list of prefixes, packed: `ALLOWED_IP_RECORD` bytes each, in order of application. */
export const ALLOWED_IP_RECORD = 20;
/*
 * Record: byte 0 operation (0 add, 1 remove), byte 1 family (4 or 6), byte 2 prefix length, byte 3
 * zero, bytes 4..19 address in network order (IPv4 in 4..7), host bits zero.
 */

export interface PeerEndpoint {
  readonly family: 4 | 6;
  /** 4 or 16 bytes, network order. */
  readonly address: Uint8Array;
  readonly port: number;
  /** Interface index of a link-local IPv6 address, else 0. */
  readonly scope: number;
  /** The peer's number behind the relay that the address is of; 0 or undefined = direct. */
  readonly relayId?: number;
}

/** An address of a relay; its own `relayId` means nothing. */
export interface RelayEndpoint extends PeerEndpoint {
  /** Of the edge that relays there: where it is a peer too, it is told when we have moved. */
  readonly publicKey: Uint8Array;
}

export interface PeerChange {
  readonly publicKey: Uint8Array;
  /** Remove the peer; everything else is ignored. */
  readonly remove?: boolean;
  /** Change it only if it exists. */
  readonly updateOnly?: boolean;
  /** All zero removes it. */
  readonly presharedKey?: Uint8Array;
  readonly endpoint?: PeerEndpoint;
  /** Seconds, 0 switches it off. */
  readonly persistentKeepalive?: number;
  /** Whether it is of our own kind, to be sent path frames (path-frames.ts). A new peer is not. */
  readonly pathFrames?: boolean;
  readonly replaceAllowedIps?: boolean;
  /** Packed records; adding a prefix takes it away from the peer that had it. */
  readonly allowedIps?: Uint8Array;
  /**
   * Shake hands now, whatever there is already: the peer may have lost its sessions. What there is
   * stays in use until the handshake is done.
   */
  readonly rehandshake?: boolean;
}

export interface DeviceChange {
  /** All zero removes the key. */
  readonly privateKey?: Uint8Array;
  /** UDP port; 0 lets the kernel choose. */
  readonly listenPort?: number;
  /** SO_MARK of the sockets; 0 removes it. */
  readonly fwmark?: number;
  /** Whether datagrams are never fragmented on their way; the socket owner's. */
  readonly dontFragment?: boolean;
  readonly replacePeers?: boolean;
  /**
   * Addresses of the relays, replacing those before: only messages from them may carry a relay id.
   */
  readonly relays?: readonly RelayEndpoint[];
  /**
   * Packed records of the prefixes that peers' packets may be for. From the first change that has any,
   * or none of them, on, packets for other addresses are dropped; before it they may be for any.
   */
  readonly destinations?: Uint8Array;
  /** In order; the same peer may appear more than once. */
  readonly peers: readonly PeerChange[];
}
