/**
 * Packets that are longer than the path to their peer carries (docs/mtu.md). The kernel knows the MTU of
 * each route and deals with nearly all of them; here are those that it does not see or not yet:
 *
 * - as long as nothing is known of a path, packets that not every path carries wait for the first answers
 *   of its search, and so does a TCP SYN, which announces how large packets are to be for the life of its
 *   connection: on a narrow path it announces what that carries;
 * - what may be cut is cut: IPv4 without DF, and IPv6 up to 1280 bytes, which hosts need not make
 *   smaller;
 * - the rest is dropped, and its sender told so.
 *
 * Nothing of it is in the way of a packet that fits.
 */
import { Fragmentation } from '../routing/fragmentation.ts';
import {
  checkPacket,
  IPV4_HEADER_SIZE,
  PACKET_MALFORMED,
  packetVersion,
} from '../routing/packet.ts';
import { encodePacketTooBig, IPV6_MIN_MTU, MOST_TOO_BIG_SIZE } from '../routing/packet-too-big.ts';
import { announcesSegmentSize, clampSegmentSize } from '../routing/segment-size.ts';
import {
  MESSAGE_HEADER_SIZE,
  MESSAGE_OVERHEAD,
  type OutboundVector,
  SLOT_DROPPED,
  SLOT_REPLACED,
} from '../vector.ts';
import type { DeviceState } from './device-state.ts';
import type { Keypair } from './keypair.ts';
import { PADDING } from './messages.ts';
import { address, fits, reservePacket } from './outbound-messages.ts';
import { NARROW_MTU } from './path-mtu.ts';
import type { Peer } from './peer.ts';

/** Answers that wait to be taken. */
const ANSWERS = 16;
/** Answers in a second, over all senders. */
const ANSWERS_PER_SECOND = 50;

export class Oversize {
  readonly #fragments = new Fragmentation();
  /** A staged packet while it is cut. */
  readonly #packet = new Uint8Array(1 << 16);
  readonly #state: DeviceState;
  readonly #answers = new Uint8Array(ANSWERS * MOST_TOO_BIG_SIZE);
  readonly #sizes = new Int32Array(ANSWERS);
  /** Packets dropped for being too long. */
  #tooBig = 0;
  #first = 0;
  #count = 0;
  #tokens = ANSWERS_PER_SECOND;
  #tokensAt = 0;

  constructor(state: DeviceState) {
    this.#state = state;
  }

  /**
   * Whether the peer's oldest staged packet is to wait until something is known of the path: one that
   * not every path carries, or a SYN.
   */
  waits(peer: Peer): boolean {
    const search = peer.path?.search;
    if (search?.isSettling !== true || peer.staged.length === 0) return false;
    const length = peer.staged.firstLength();
    if (length > NARROW_MTU) return true;
    peer.staged.copyFirst(this.#packet, 0);
    return length > 0 && announcesSegmentSize(this.#packet, 0, length);
  }

  /** Whether a run is to wait as well. */
  isToWait(v: OutboundVector, i: number): boolean {
    const size = sizeOf(v, i, 0) - MESSAGE_OVERHEAD;
    return (
      size > NARROW_MTU || announcesSegmentSize(v.arena, v.offset[i]! + MESSAGE_HEADER_SIZE, size)
    );
  }

  /** Has a SYN that is a run of its own announce segments that the path carries. */
  clampRun(v: OutboundVector, i: number, mtu: number): void {
    if (v.count[i]! > 1) return;
    const length = v.lastSize[i]! - MESSAGE_OVERHEAD;
    clampSegmentSize(v.arena, v.offset[i]! + MESSAGE_HEADER_SIZE, length, mtu);
  }

  /**
   * Appends the packets of run `i` one by one, cut where they are too long. What is left of the run
   * itself are those that are dropped: packets of one run differ in nothing but the length of the last,
   * so they are the first ones.
   */
  cutRun(v: OutboundVector, i: number, peer: Peer, keypair: Keypair, now: number): void {
    const { drops } = this.#state;
    const count = v.count[i]!;
    const tooBig = this.#tooBig;
    for (let k = 0; k < count; k++) {
      const offset = v.offset[i]! + k * v.stride[i]! + MESSAGE_HEADER_SIZE;
      const length = checkPacket(v.arena, offset, sizeOf(v, i, k) - MESSAGE_OVERHEAD);
      if (length < 0) drops.add(length === PACKET_MALFORMED ? 'out_malformed' : 'out_options');
      else if (!this.#append(v, peer, keypair, v.arena, offset, length, now)) {
        drops.add('out_staged_full');
      }
    }
    const dropped = this.#tooBig - tooBig;
    v.slot[i] = dropped === 0 ? SLOT_REPLACED : SLOT_DROPPED - drops.numberOf('out_packet_too_big');
    if (dropped === 0 || dropped === count) return;
    v.count[i] = dropped;
    v.lastSize[i] = v.stride[i]!;
  }

  /** Appends the oldest staged packet, cut or dropped; false if there is no room. */
  appendStaged(v: OutboundVector, peer: Peer, keypair: Keypair, now: number): boolean {
    peer.staged.copyFirst(this.#packet, 0);
    return this.#append(v, peer, keypair, this.#packet, 0, peer.staged.firstLength(), now);
  }

  /** Appends a packet in as many messages as it needs, or drops it; false if there is no room. */
  #append(
    v: OutboundVector,
    peer: Peer,
    keypair: Keypair,
    bytes: Uint8Array,
    offset: number,
    length: number,
    now: number,
  ): boolean {
    const state = this.#state;
    const mtu = peer.pathMtu;
    const fragments = this.#fragments;
    if (length <= mtu) {
      clampSegmentSize(bytes, offset, length, mtu);
      if (!fits(v, mtu + MESSAGE_OVERHEAD + PADDING)) return false;
      const at = reservePacket(v, length, state.mtu);
      v.arena.set(bytes.subarray(offset, offset + length), v.offset[at]! + MESSAGE_HEADER_SIZE);
      address(state, v, at, keypair, peer.number);
      return true;
    }
    fragments.count = 0;
    if (packetVersion(bytes, offset) === 4 || length <= IPV6_MIN_MTU) {
      fragments.begin(bytes, offset, length, mtu, state.words.next());
    }
    if (fragments.count === 0) {
      state.drops.add('out_packet_too_big');
      this.#tooBig++;
      this.#answer(bytes, offset, length, mtu, now);
      return true;
    }
    if (!fits(v, mtu + MESSAGE_OVERHEAD + PADDING, fragments.count)) return false;
    for (let k = 0; k < fragments.count; k++) {
      const at = reservePacket(v, fragments.sizeOf(k), state.mtu);
      fragments.write(k, v.arena, v.offset[at]! + MESSAGE_HEADER_SIZE);
      address(state, v, at, keypair, peer.number);
    }
    peer.largestSent = Math.max(peer.largestSent, mtu + MESSAGE_OVERHEAD);
    return true;
  }

  /** Moves the oldest answer, an IP packet for the TUN, to `out`; its size, 0 = none. */
  shiftAnswer(out: Uint8Array): number {
    if (this.#count === 0) return 0;
    const size = this.#sizes[this.#first]!;
    const from = this.#first * MOST_TOO_BIG_SIZE;
    out.set(this.#answers.subarray(from, from + size));
    this.#first = (this.#first + 1) % ANSWERS;
    this.#count--;
    return size;
  }

  #answer(bytes: Uint8Array, offset: number, length: number, mtu: number, now: number): void {
    const earned = ((now - this.#tokensAt) * ANSWERS_PER_SECOND) / 1_000;
    this.#tokens = Math.min(ANSWERS_PER_SECOND, this.#tokens + earned);
    this.#tokensAt = now;
    if (this.#count === ANSWERS || this.#tokens < 1 || length < IPV4_HEADER_SIZE) return;
    const at = (this.#first + this.#count) % ANSWERS;
    const from = at * MOST_TOO_BIG_SIZE;
    const out = this.#answers.subarray(from, from + MOST_TOO_BIG_SIZE);
    const size = encodePacketTooBig(bytes, offset, length, mtu, out);
    if (size === 0) return;
    this.#sizes[at] = size;
    this.#count++;
    this.#tokens--;
  }
}

function sizeOf(v: OutboundVector, i: number, k: number): number {
  return k < v.count[i]! - 1 ? v.stride[i]! : v.lastSize[i]!;
}
