/**
 * The closed list of reasons for which the data plane drops something. Every drop is counted under
 * exactly one of them; `status`, metrics and `docs/drops.md` show the same list.
 *
 * `in` is what arrived on a socket, `out` what arrived on the TUN.
 */
export const DROP_REASONS = {
  in_too_short: 'datagram shorter than any WireGuard message',
  in_unknown_type: 'first byte is no message type',
  in_reserved_bytes: 'reserved bytes not zero from a source that is no relay',
  in_bad_length: 'length does not fit the message type',
  in_mac1: 'mac1 does not verify: not meant for our key, or forged',
  in_mac2: 'under load and mac2 missing or wrong: a cookie reply was sent instead',
  in_rate_limited: 'too many handshake messages from one source',
  in_handshake_queue_full: 'more handshake messages waiting than the queue holds',
  in_handshake_auth: 'handshake message does not decrypt or is for no handshake of ours',
  in_handshake_unknown_peer: 'initiation from a public key that is not configured',
  in_handshake_replay: 'initiation with a timestamp not newer than the last one',
  in_handshake_flood: 'initiations of one peer less than 20 ms apart',
  in_cookie: 'cookie reply that does not decrypt or answers nothing of ours',
  in_unknown_index: 'transport data for a session we do not have',
  in_expired_key: 'transport data for a keypair past REJECT_AFTER_TIME or REJECT_AFTER_MESSAGES',
  in_auth: 'transport data that does not authenticate',
  in_replay: 'transport data whose counter was seen before or is older than the window',
  in_inner_malformed: 'decrypted packet is no IPv4 or IPv6 packet of the length it claims',
  in_inner_options: 'decrypted packet carries IPv4 options',
  in_frame_stranger: 'path frame of a peer that is not known to be of our own kind, or not yet',
  in_frame_malformed: 'path frame that is cut off or of an unknown kind',
  in_frame_unexpected: 'path frame that answers nothing we asked on the path it came by',
  in_frame_limited: 'more path frames of one peer than are answered',
  in_source_not_allowed: 'decrypted packet whose source is outside the allowed IPs of its peer',
  in_destination_not_own: 'decrypted packet that is for none of the prefixes of this gateway',
  in_socket_full: 'datagrams that came while the receive buffer was full (counted by the kernel)',
  in_tun_error: 'the TUN device refused the packet (down, or out of memory)',
  out_malformed: 'packet on the TUN is no IPv4 or IPv6 packet of the length it claims',
  out_options: 'packet on the TUN carries IPv4 options',
  out_unknown_offload: 'super-packet of a kind that the splitter does not know',
  out_no_route: 'destination is in no allowed IPs',
  out_multicast: 'the same, and it is a multicast or the broadcast address',
  out_no_endpoint: 'peer has no endpoint yet',
  out_staged_full: 'more packets waiting for a session than are kept (oldest dropped)',
  out_staged_expired: 'no session within REKEY_ATTEMPT_TIME, or the peer was removed',
  out_packet_too_big: 'longer than the path carries, and not to be fragmented: its sender was told',
  out_too_long: 'message longer than a datagram, or than the path takes (EMSGSIZE)',
  out_send_error: 'the socket refused the datagram',
  out_socket_closed: 'the datagram waited for room in a socket that was closed then',
} as const;

export type DropReason = keyof typeof DROP_REASONS;

/** In the order of the list; a reason's number is its index here. */
export const DROP_REASON_NAMES = Object.keys(DROP_REASONS) as readonly DropReason[];

/** Counters of a closed list of reasons, over memory that may be shared with another thread. */
export class ReasonCounters<Reason extends string> {
  readonly #names: readonly Reason[];
  readonly #index: Readonly<Record<string, number>>;
  readonly #counts: Float64Array;

  constructor(
    names: readonly Reason[],
    buffer: ArrayBufferLike = new ArrayBuffer(names.length * 8),
    byteOffset = 0,
  ) {
    this.#names = names;
    this.#index = Object.fromEntries(names.map((name, i) => [name, i]));
    this.#counts = new Float64Array(buffer, byteOffset, names.length);
  }

  add(reason: Reason, packets = 1): void {
    const at = this.#index[reason]!;
    this.#counts[at] = this.#counts[at]! + packets;
  }

  /** Index of a reason in the list. */
  numberOf(reason: Reason): number {
    return this.#index[reason]!;
  }

  get(reason: Reason): number {
    return this.#counts[this.#index[reason]!]!;
  }

  /** Every reason with a count above zero, in the order of the list. */
  entries(): [Reason, number][] {
    const found: [Reason, number][] = [];
    for (const reason of this.#names) {
      const count = this.get(reason);
      if (count > 0) found.push([reason, count]);
    }
    return found;
  }
}

/** The data plane's drop counters. */
export class DropCounters extends ReasonCounters<DropReason> {
  static readonly BYTES = DROP_REASON_NAMES.length * 8;

  constructor(buffer?: ArrayBufferLike, byteOffset?: number) {
    super(DROP_REASON_NAMES, buffer, byteOffset);
  }
}
