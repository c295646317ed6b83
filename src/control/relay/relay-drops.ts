/**
 * The closed list of reasons for which the relay does not forward a message. Every message that it
 * drops is counted under exactly one; `status`, metrics and `docs/relay-drops.md` show the same list.
 */
import { ReasonCounters } from '../../drops.ts';

export const RELAY_DROP_REASONS = {
  relay_unknown_type: 'first byte is no message type, or the datagram is shorter than eight bytes',
  relay_bad_length:
    'length does not fit the message type, or is data for the edge itself beyond a farewell',
  relay_unbound_source: 'source address is bound to no replica',
  relay_unknown_destination: 'relay id is of no replica that this edge knows',
  relay_other_vnet: 'destination is in another virtual network than the source',
  relay_denied: "no rule of the network's policy can allow anything between source and destination",
  relay_to_itself: 'destination is the source itself',
  relay_unbound_destination: 'destination is not bound to this edge now',
  relay_handshake_rate: 'too many handshake messages from one source',
  relay_rate: 'more messages or bytes from one source than it may send',
  relay_send_error: 'the socket refused the datagram',
  relay_socket_closed: 'the datagram waited for room in a socket that was closed then',
  relay_receive_full: "more arrived than the relay got through: the kernel's buffer was full",
} as const;

export type RelayDropReason = keyof typeof RELAY_DROP_REASONS;

/** In the order of the list; a reason's number is its index here. */
export const RELAY_DROP_REASON_NAMES = Object.keys(
  RELAY_DROP_REASONS,
) as readonly RelayDropReason[];

/** The relay's drop counters. */
export class RelayDropCounters extends ReasonCounters<RelayDropReason> {
  static readonly BYTES = RELAY_DROP_REASON_NAMES.length * 8;

  constructor(buffer?: ArrayBufferLike, byteOffset?: number) {
    super(RELAY_DROP_REASON_NAMES, buffer, byteOffset);
  }
}
