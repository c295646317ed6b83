/**
 * The data plane's side of a capture: looks at each packet where it is plaintext, and copies those that
 * are meant into the ring. Loaded and made when a capture begins; nothing here allocates per packet.
 *
 * Outbound packets are seen when they have been given their peer, inbound ones when they are authentic
 * and new. What the protocol itself sends, handshakes, keepalives and path frames, is no packet.
 */
import { DROP_REASON_NAMES } from '../../drops.ts';
import { checkPacket, PACKET_OPTIONS } from '../../routing/packet.ts';
import { compileFilter, type PacketPredicate } from '../../routing/packet-filter.ts';
import { parseFilter } from '../../routing/packet-filter-syntax.ts';
import type { Instant } from '../../time.ts';
import {
  ENDPOINT_RECORD_WORDS,
  type InboundVector,
  MESSAGE_HEADER_SIZE,
  MESSAGE_OVERHEAD,
  type OutboundVector,
  SLOT_DROPPED,
  SLOT_REPLACED,
} from '../../vector.ts';
import type { Device, InboundRefusal } from '../../wireguard/device.ts';
import {
  CaptureWriter,
  DIRECTION_IN,
  DIRECTION_OUT,
  PATH_KNOWN,
  VERDICT_ACCEPTED,
  VERDICT_DROPPED,
  VERDICT_STAGED,
} from './capture-ring.ts';

export interface TapOptions {
  readonly ring: SharedArrayBuffer;
  /** An expression that parses; undefined = everything. */
  readonly filter: string | undefined;
  /** Numbers of the peers that are meant; undefined = all, and packets of none. */
  readonly peers: readonly number[] | undefined;
  /** Bytes kept of a packet. */
  readonly snaplen: number;
}

const MALFORMED = VERDICT_DROPPED + DROP_REASON_NAMES.indexOf('in_inner_malformed');
const OPTIONS = VERDICT_DROPPED + DROP_REASON_NAMES.indexOf('in_inner_options');
const SOURCE_NOT_ALLOWED = VERDICT_DROPPED + DROP_REASON_NAMES.indexOf('in_source_not_allowed');
const DESTINATION_NOT_OWN = VERDICT_DROPPED + DROP_REASON_NAMES.indexOf('in_destination_not_own');
const RELAY_ID = 11;

export class PacketTap {
  readonly #device: Pick<Device, 'peerOfRun' | 'refusalOf'>;
  readonly #writer: CaptureWriter;
  readonly #matches: PacketPredicate | undefined;
  readonly #snaplen: number;
  /** Of the wall clock ahead of the monotonic one, in ms. */
  readonly #unixAhead: number;
  #peers: ReadonlySet<number> | undefined;

  constructor(device: Pick<Device, 'peerOfRun' | 'refusalOf'>, now: Instant, options: TapOptions) {
    this.#device = device;
    this.#writer = new CaptureWriter(options.ring);
    this.#snaplen = options.snaplen;
    this.#unixAhead = now.unix - now.monotonic;
    const parsed = options.filter === undefined ? undefined : parseFilter(options.filter);
    if (parsed?.ok === false) throw new Error(parsed.mistake.message);
    this.#matches = parsed && compileFilter(parsed.expression);
    this.usePeers(options.peers);
  }

  /** Other numbers from now on: peers come and go. */
  usePeers(peers: readonly number[] | undefined): void {
    this.#peers = peers && new Set(peers);
  }

  /** Runs from the TUN that have been given keys and endpoint, staged, or dropped. */
  outbound(v: OutboundVector, now: Instant): void {
    const unix = now.monotonic + this.#unixAhead;
    for (let i = 0; i < v.length; i++) {
      const peer = v.endpoint[i]!;
      if (this.#peers !== undefined && !this.#peers.has(peer)) continue;
      const slot = v.slot[i]!;
      if (slot === SLOT_REPLACED) continue;
      const isSent = slot >= 0;
      const verdict = isSent
        ? VERDICT_ACCEPTED
        : slot <= SLOT_DROPPED
          ? VERDICT_DROPPED + SLOT_DROPPED - slot
          : VERDICT_STAGED;
      const direction = isSent ? DIRECTION_OUT | PATH_KNOWN : DIRECTION_OUT;
      const relayId = isSent ? v.head[i]! >>> 8 : 0;
      const count = v.count[i]!;
      for (let k = 0; k < count; k++) {
        const size = (k < count - 1 ? v.stride[i]! : v.lastSize[i]!) - MESSAGE_OVERHEAD;
        const offset = v.offset[i]! + k * v.stride[i]! + MESSAGE_HEADER_SIZE;
        const checked = checkPacket(v.arena, offset, size);
        // Without its padding.
        const length = checked < 0 ? size : checked;
        this.#keep(v.arena, offset, length, peer, verdict, direction, relayId, unix);
      }
    }
  }

  /** Runs of a socket that were opened, before they are written to the TUN. */
  inbound(v: InboundVector, now: Instant): void {
    const unix = now.monotonic + this.#unixAhead;
    const { words } = v.sources;
    for (let i = 0; i < v.length; i++) {
      const peer = v.slot[i]! < 0 ? -1 : this.#device.peerOfRun(v, i);
      if (peer < 0 || (this.#peers !== undefined && !this.#peers.has(peer))) continue;
      const relayId = words[v.source[i]! * ENDPOINT_RECORD_WORDS + RELAY_ID]!;
      const first = v.first[i]!;
      for (let k = 0; k < v.count[i]!; k++) {
        const size = v.plain[first + k]!;
        const offset = v.offset[i]! + k * v.stride[i]! + MESSAGE_HEADER_SIZE;
        // Nothing, refused, a keepalive; or a frame of our own (DESIGN 2).
        if (size <= 0 || v.arena[offset]! >>> 4 === 0) continue;
        const checked = checkPacket(v.arena, offset, size);
        const verdict =
          checked < 0
            ? checked === PACKET_OPTIONS
              ? OPTIONS
              : MALFORMED
            : verdictOf(this.#device.refusalOf(peer, v.arena, offset));
        const length = checked < 0 ? size : checked;
        this.#keep(
          v.arena,
          offset,
          length,
          peer,
          verdict,
          DIRECTION_IN | PATH_KNOWN,
          relayId,
          unix,
        );
      }
    }
  }

  #keep(
    arena: Uint8Array,
    offset: number,
    length: number,
    peer: number,
    verdict: number,
    direction: number,
    relayId: number,
    unix: number,
  ): void {
    if (this.#matches !== undefined && !this.#matches(arena, offset, length)) return;
    const captured = Math.min(length, this.#snaplen);
    this.#writer.write(arena, offset, length, captured, peer, verdict, direction, relayId, unix);
  }
}

function verdictOf(refusal: InboundRefusal | undefined): number {
  if (refusal === undefined) return VERDICT_ACCEPTED;
  return refusal === 'in_source_not_allowed' ? SOURCE_NOT_ALLOWED : DESTINATION_NOT_OWN;
}
