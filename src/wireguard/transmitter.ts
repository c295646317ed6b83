/**
 * What the protocol itself sends: initiations, responses, cookie replies, keepalives and packets that
 * were staged (whitepaper § 5.4, 6.5). It is made when it is polled for, into the caller's vector.
 */
import { wipe } from '../bytes.ts';
import type { Instant } from '../time.ts';
import {
  MESSAGE_HEADER_SIZE,
  MESSAGE_OVERHEAD,
  type OutboundVector,
  SLOT_COMPLETE,
} from '../vector.ts';
import type { CookieReplies } from './cookie-replies.ts';
import { type DeviceState, SCRATCH_ENDPOINTS } from './device-state.ts';
import { createInitiation } from './handshake.ts';
import type { Keypair } from './keypair.ts';
import { COOKIE_REPLY_SIZE, INITIATION_SIZE, readU32, stampRelayId } from './messages.ts';
import { address, fits, paddedLength, reserve, reservePacket } from './outbound-messages.ts';
import type { Oversize } from './oversize.ts';
import {
  encodePathFrame,
  PATH_FAREWELL,
  PATH_FRAME_SIZE,
  PATH_PING,
  PATH_PONG,
} from './path-frames.ts';
import type { Peer } from './peer.ts';
import type { Sessions } from './sessions.ts';
import { encodeTimestamp, TIMESTAMP_STEP } from './tai64n.ts';
import { RETRANSMIT_HANDSHAKE } from './timers.ts';

export class Transmitter {
  readonly #state: DeviceState;
  readonly #sessions: Sessions;
  readonly #replies: CookieReplies;
  readonly #oversize: Oversize;
  /** The scratch record used last: they take turns, so one stays valid for 255 further replies. */
  #scratch = 0;

  constructor(state: DeviceState, sessions: Sessions, replies: CookieReplies, oversize: Oversize) {
    this.#state = state;
    this.#sessions = sessions;
    this.#replies = replies;
    this.#oversize = oversize;
  }

  /** Appends as much as fits; true if more remains. */
  poll(v: OutboundVector, now: Instant): boolean {
    const state = this.#state;
    while (this.#replies.length > 0) {
      if (!fits(v, COOKIE_REPLY_SIZE)) return true;
      const at = reserve(v, COOKIE_REPLY_SIZE);
      this.#scratch = (this.#scratch + 1) % SCRATCH_ENDPOINTS;
      const record = state.maxPeers + this.#scratch;
      this.#replies.shift(v.arena, v.offset[at]!, state.endpoints.words, record);
      this.#complete(v, at, record);
    }
    const { pongs } = this.#sessions.paths;
    for (; pongs.length > 0; pongs.shift()) {
      if (!this.#appendPong(v, now.monotonic)) return true;
    }
    for (let peer = state.firstReady(); peer !== undefined; peer = state.firstReady()) {
      if (!this.#transmit(v, peer, now)) return true;
      state.dequeue(peer);
    }
    return false;
  }

  /** Everything that waits for one peer; false if it does not fit. */
  #transmit(v: OutboundVector, peer: Peer, now: Instant): boolean {
    const state = this.#state;
    const { response } = peer;
    if (response !== undefined) {
      if (!this.#append(v, peer, response)) return false;
      peer.response = undefined;
    }
    if (peer.wantsInitiation) {
      if (!fits(v, INITIATION_SIZE)) return false;
      peer.wantsInitiation = false;
      const initiation = this.#createInitiation(peer, now);
      if (initiation !== undefined) this.#append(v, peer, initiation);
    }
    if (!this.#appendPings(v, peer, now.monotonic)) return false;
    while (peer.staged.length > 0) {
      const keypair = peer.current;
      if (!keypair?.maySeal(1, now.monotonic)) {
        // It waits for the handshake under way; only if there is none, one is asked for.
        if (state.timers.isArmed(peer.number, RETRANSMIT_HANDSHAKE)) return true;
        this.#sessions.initiate(peer, now.monotonic, false);
        return !peer.wantsInitiation || this.#transmit(v, peer, now);
      }
      // The first answer of its path says how it is to be sent.
      if (this.#oversize.waits(peer)) return true;
      if (!this.#appendStaged(v, peer, keypair, now.monotonic)) return false;
    }
    return this.#appendFarewells(v, peer, now.monotonic);
  }

  #createInitiation(peer: Peer, now: Instant): Uint8Array | undefined {
    const state = this.#state;
    const { identity } = state;
    if (identity === undefined || !state.hasEndpoint(peer.number)) return undefined;
    const staticStatic = state.staticStaticOf(peer, identity);
    if (staticStatic === undefined) return undefined;
    state.indexes.remove(peer.handshake.localIndex);
    // A clock that was set back must not lock us out: the peer wants ever newer timestamps.
    peer.lastTimestampSent = Math.max(now.unix, peer.lastTimestampSent + TIMESTAMP_STEP);
    const ephemeral = new Uint8Array(32);
    state.random(ephemeral);
    const index = state.newIndex();
    const message = createInitiation(
      peer.handshake,
      state.primitives,
      identity,
      peer.publicKey,
      staticStatic,
      ephemeral,
      encodeTimestamp(peer.lastTimestampSent),
      index,
    );
    if (message === undefined) {
      wipe(ephemeral);
      peer.handshake.localIndex = 0;
      return undefined;
    }
    state.indexes.insert(index, peer, undefined);
    peer.initiationTo = state.endpointOf(peer.number);
    peer.answered = false;
    peer.cookies.addMacs(message, now.monotonic);
    return message;
  }

  /** Appends a handshake message to the peer's endpoint; false if it does not fit. */
  #append(v: OutboundVector, peer: Peer, message: Uint8Array): boolean {
    if (!fits(v, message.length)) return false;
    const at = reserve(v, message.length);
    v.arena.set(message, v.offset[at]!);
    this.#complete(v, at, peer.number);
    const { txBytes } = this.#state.statistics;
    txBytes[peer.number] = txBytes[peer.number]! + message.length;
    return true;
  }

  /** Appends the oldest staged packet, padded, to be sealed; false if it does not fit. */
  #appendStaged(v: OutboundVector, peer: Peer, keypair: Keypair, now: number): boolean {
    const state = this.#state;
    const sessions = this.#sessions;
    const length = peer.staged.firstLength();
    const size = paddedLength(length, state.mtu) + MESSAGE_OVERHEAD;
    if (size > peer.inspectAbove) {
      if (!this.#oversize.appendStaged(v, peer, keypair, now)) return false;
    } else {
      if (!fits(v, size)) return false;
      const at = reservePacket(v, length, state.mtu);
      peer.staged.copyFirst(v.arena, v.offset[at]! + MESSAGE_HEADER_SIZE);
      address(state, v, at, keypair, peer.number);
    }
    peer.staged.shift();
    sessions.packetTraversed(peer, now);
    sessions.packetSent(peer, now);
    if (length > 0) sessions.dataSent(peer, now);
    sessions.keepFreshSending(peer, keypair, now);
    return true;
  }

  /** Appends the oldest PONG, to where its PING came from; false if it does not fit. */
  #appendPong(v: OutboundVector, now: number): boolean {
    const state = this.#state;
    const { pongs } = this.#sessions.paths;
    const peer = state.peers[pongs.peer];
    if (peer?.path === undefined || !peer.current?.maySeal(1, now)) return true;
    if (!fits(v, PATH_FRAME_SIZE + MESSAGE_OVERHEAD)) return false;
    this.#scratch = (this.#scratch + 1) % SCRATCH_ENDPOINTS;
    const record = state.maxPeers + this.#scratch;
    pongs.copyEndpoint(state.endpoints.words, record);
    this.#appendFrame(
      v,
      peer.current,
      record,
      PATH_FRAME_SIZE,
      PATH_PONG,
      pongs.id(0),
      pongs.id(1),
    );
    return true;
  }

  /** Appends the PINGs that the peer's path asks for; false if not all fit. */
  #appendPings(v: OutboundVector, peer: Peer, now: number): boolean {
    const { path } = peer;
    if (path === undefined) return true;
    for (let size = path.nextSize; size > 0; size = path.nextSize) {
      if (!peer.current?.maySeal(1, now)) {
        path.unwant();
        return true;
      }
      if (!fits(v, size + MESSAGE_OVERHEAD)) return false;
      const id0 = this.#state.words.next();
      const id1 = this.#state.words.next();
      path.sent(id0, id1, now);
      this.#appendFrame(v, peer.current, peer.number, size, PATH_PING, id0, id1);
    }
    return true;
  }

  /** Appends the farewells, behind all else; false if not all fit. */
  #appendFarewells(v: OutboundVector, peer: Peer, now: number): boolean {
    for (; peer.farewells > 0; peer.farewells--) {
      const keypair = peer.current;
      if (!keypair?.maySeal(1, now)) return true;
      if (!fits(v, PATH_FRAME_SIZE + MESSAGE_OVERHEAD)) return false;
      this.#appendFrame(v, keypair, peer.number, PATH_FRAME_SIZE, PATH_FAREWELL, 0, 0);
    }
    return true;
  }

  /** A frame is no data and no keepalive: none of WireGuard's timers hears of it. */
  #appendFrame(
    v: OutboundVector,
    keypair: Keypair,
    record: number,
    length: number,
    type: number,
    id0: number,
    id1: number,
  ): void {
    const size = length + MESSAGE_OVERHEAD;
    const at = reserve(v, size);
    encodePathFrame(v.arena, v.offset[at]! + MESSAGE_HEADER_SIZE, length, type, id0, id1);
    address(this.#state, v, at, keypair, record);
  }

  /** Marks entry `at` as ready to be sent to endpoint `record`, and stamps the relay id. */
  #complete(v: OutboundVector, at: number, record: number): void {
    const offset = v.offset[at]!;
    const size = v.lastSize[at]!;
    stampRelayId(v.arena.subarray(offset, offset + size), this.#state.relayIdOf(record));
    v.head[at] = readU32(v.arena, offset);
    v.receiver[at] = 0;
    v.slot[at] = SLOT_COMPLETE;
    v.endpoint[at] = record;
    v.counter[at] = 0;
  }
}
