/**
 * Transport data (whitepaper § 5.4.6): the hot path. One look per run of messages; nothing here
 * allocates, except to stage packets of a peer without a session.
 */
import type { DropReason } from '../drops.ts';
import { checkPacket, isMulticast, PACKET_MALFORMED, PACKET_OPTIONS } from '../routing/packet.ts';
import type { Instant } from '../time.ts';
import {
  ENDPOINT_RECORD_WORDS,
  type InboundVector,
  MESSAGE_HEADER_SIZE,
  MESSAGE_OVERHEAD,
  OPEN_FAILED,
  OPEN_REPLAYED,
  type OutboundVector,
  SLOT_DROPPED,
  SLOT_NONE,
} from '../vector.ts';
import type { DeviceState } from './device-state.ts';
import { sameRemote } from './endpoint-record.ts';
import type { Handshakes } from './handshakes.ts';
import type { Keypair } from './keypair.ts';
import { handshakeMessageSize, KEEPALIVE_SIZE, TYPE_TRANSPORT } from './messages.ts';
import type { Oversize } from './oversize.ts';
import { isPathFrame } from './path-frames.ts';
import type { Peer } from './peer.ts';
import type { Sessions } from './sessions.ts';
import { STAGED_PACKETS } from './staging.ts';
import { REJECT_AFTER_MESSAGES, REJECT_AFTER_TIME } from './timers.ts';

export class Transport {
  readonly #state: DeviceState;
  readonly #sessions: Sessions;
  readonly #handshakes: Handshakes;
  readonly #oversize: Oversize;
  /** Peer of each run of the inbound vector last opened, -1 = none. */
  #runPeers = new Int32Array(0);

  constructor(state: DeviceState, sessions: Sessions, handshakes: Handshakes, oversize: Oversize) {
    this.#state = state;
    this.#sessions = sessions;
    this.#handshakes = handshakes;
    this.#oversize = oversize;
  }

  peerOfRun(run: number): number {
    return this.#runPeers[run]!;
  }

  handleInbound(v: InboundVector, now: number): void {
    const { drops, relayedSources } = this.#state;
    const { words } = v.sources;
    relayedSources.begin(v);
    for (let i = 0; i < v.length; i++) {
      v.slot[i] = SLOT_NONE;
      const head = v.head[i]!;
      const type = head & 0xff;
      const size = v.count[i]! > 1 ? v.stride[i]! : v.lastSize[i]!;
      if (size < KEEPALIVE_SIZE) {
        drops.add('in_too_short', v.count[i]!);
      } else if (
        head >>> 8 !== words[v.source[i]! * ENDPOINT_RECORD_WORDS + 11]! &&
        !relayedSources.resolve(v, i)
      ) {
        drops.add('in_reserved_bytes', v.count[i]!);
      } else if (type === TYPE_TRANSPORT) {
        this.#findKeys(v, i, now);
      } else {
        this.#enqueueHandshakes(v, i, type, now);
      }
    }
  }

  #findKeys(v: InboundVector, i: number, now: number): void {
    const { indexes, drops } = this.#state;
    if (v.lastSize[i]! < KEEPALIVE_SIZE) {
      // Only the last of several can be shorter than the others: leave it out.
      v.count[i] = v.count[i]! - 1;
      v.lastSize[i] = v.stride[i]!;
      drops.add('in_too_short');
    }
    const place = indexes.find(v.receiver[i]!);
    const keypair = place < 0 ? undefined : indexes.keypairAt(place);
    if (keypair === undefined) {
      drops.add('in_unknown_index', v.count[i]!);
    } else if (now - keypair.created > REJECT_AFTER_TIME) {
      drops.add('in_expired_key', v.count[i]!);
    } else {
      v.slot[i] = keypair.slot;
    }
  }

  #enqueueHandshakes(v: InboundVector, i: number, type: number, now: number): void {
    const { drops } = this.#state;
    const expected = handshakeMessageSize(type);
    const count = v.count[i]!;
    if (expected === 0) {
      drops.add('in_unknown_type', count);
      return;
    }
    for (let k = 0; k < count; k++) {
      const size = k < count - 1 ? v.stride[i]! : v.lastSize[i]!;
      const offset = v.offset[i]! + k * v.stride[i]!;
      if (size !== expected) drops.add('in_bad_length');
      else this.#handshakes.enqueue(v.arena, offset, size, v.sources, v.source[i]!, now);
    }
  }

  handleOpened(v: InboundVector, now: Instant): void {
    if (this.#runPeers.length < v.capacity) this.#runPeers = new Int32Array(v.capacity);
    const { indexes } = this.#state;
    for (let i = 0; i < v.length; i++) {
      this.#runPeers[i] = -1;
      if (v.slot[i]! < 0) continue;
      const place = indexes.find(v.receiver[i]!);
      const keypair = place < 0 ? undefined : indexes.keypairAt(place);
      if (keypair === undefined) {
        // Rotated out by a run before this one.
        this.#rejectRun(v, i);
        continue;
      }
      this.#runPeers[i] = keypair.peer.number;
      this.#acceptRun(v, i, keypair, now);
    }
  }

  #rejectRun(v: InboundVector, i: number): void {
    const first = v.first[i]!;
    for (let k = first; k < first + v.count[i]!; k++) v.plain[k] = OPEN_FAILED;
    this.#state.drops.add('in_unknown_index', v.count[i]!);
  }

  #acceptRun(v: InboundVector, i: number, keypair: Keypair, now: Instant): void {
    const { plain, counter } = v;
    const first = v.first[i]!;
    const count = v.count[i]!;
    const start = counter[first]!;
    let content = 0;
    let k = 0;
    while (k < count && plain[first + k]! >= 0 && counter[first + k]! === start + k) {
      content |= plain[first + k]!;
      k++;
    }
    let bytes = 0;
    /** Of the messages that are taken, the first. */
    let at = v.offset[i]!;
    if (
      k === count &&
      start + count <= REJECT_AFTER_MESSAGES &&
      keypair.replay.acceptRange(start, count)
    ) {
      bytes = (count - 1) * v.stride[i]! + v.lastSize[i]!;
    } else {
      content = 0;
      for (k = 0; k < count; k++) {
        if (!this.#acceptOne(v, first + k, keypair)) continue;
        if (bytes === 0) at = v.offset[i]! + k * v.stride[i]!;
        content |= plain[first + k]!;
        bytes += k < count - 1 ? v.stride[i]! : v.lastSize[i]!;
      }
    }
    if (bytes === 0) return;
    const framesOnly =
      content > 0 &&
      isPathFrame(v.arena, at + MESSAGE_HEADER_SIZE) &&
      keypair.peer.path !== undefined &&
      holdsOnlyFrames(v, i);
    if (framesOnly) this.#framesReceived(keypair, bytes, v.sources.words, v.source[i]!, now);
    else this.#received(keypair, bytes, content > 0, v.sources.words, v.source[i]!, now);
  }

  /** Message `at` of the per-message columns: whether it authenticated and is new. */
  #acceptOne(v: InboundVector, at: number, keypair: Keypair): boolean {
    const { drops } = this.#state;
    if (v.plain[at]! < 0) {
      v.plain[at] = OPEN_FAILED;
      drops.add('in_auth');
      return false;
    }
    const counter = v.counter[at]!;
    if (counter >= REJECT_AFTER_MESSAGES) {
      v.plain[at] = OPEN_FAILED;
      drops.add('in_expired_key');
      return false;
    }
    if (!keypair.replay.accept(counter)) {
      v.plain[at] = OPEN_REPLAYED;
      drops.add('in_replay');
      return false;
    }
    return true;
  }

  /** What authentic and new messages of a run change. */
  #received(
    keypair: Keypair,
    bytes: number,
    hasContent: boolean,
    words: Int32Array,
    source: number,
    now: Instant,
  ): void {
    const { statistics } = this.#state;
    const sessions = this.#sessions;
    const peer = keypair.peer;
    const monotonic = now.monotonic;
    statistics.rxBytes[peer.number] = statistics.rxBytes[peer.number]! + bytes;
    sessions.roam(peer, words, source, monotonic);
    if (peer.next === keypair) this.#confirmNext(peer, now);
    sessions.keepFreshReceiving(peer, monotonic);
    sessions.packetTraversed(peer, monotonic);
    sessions.packetReceived(peer, monotonic);
    if (hasContent) sessions.dataReceived(peer, monotonic);
  }

  /** Authentic path frames: they prove the peer, but not that it is to be answered there. */
  #framesReceived(
    keypair: Keypair,
    bytes: number,
    words: Int32Array,
    source: number,
    now: Instant,
  ): void {
    const { statistics, endpoints } = this.#state;
    const peer = keypair.peer;
    statistics.rxBytes[peer.number] = statistics.rxBytes[peer.number]! + bytes;
    if (peer.next === keypair) this.#confirmNext(peer, now);
    this.#sessions.keepFreshReceiving(peer, now.monotonic);
    if (sameRemote(endpoints.words, peer.number, words, source)) {
      this.#sessions.packetReceived(peer, now.monotonic);
    }
  }

  /** The peer has used the session that we answered. */
  #confirmNext(peer: Peer, now: Instant): void {
    const sessions = this.#sessions;
    sessions.confirmNext(peer);
    sessions.handshakeComplete(peer, now, false);
    sessions.sendStaged(peer, now.monotonic);
  }

  handlePathFrames(v: InboundVector, now: number): void {
    const { peers } = this.#state;
    for (let i = 0; i < v.length; i++) {
      if (v.slot[i]! < 0 || this.#runPeers[i]! < 0) continue;
      const peer = peers[this.#runPeers[i]!];
      if (peer === undefined) continue;
      for (let k = 0; k < v.count[i]!; k++) {
        const plain = v.plain[v.first[i]! + k]!;
        const at = v.offset[i]! + k * v.stride[i]! + MESSAGE_HEADER_SIZE;
        if (plain <= 0 || !isPathFrame(v.arena, at)) continue;
        v.plain[v.first[i]! + k] = 0;
        this.#sessions.paths.handleFrame(
          peer,
          v.arena,
          at,
          plain,
          v.sources.words,
          v.source[i]!,
          now,
        );
      }
    }
  }

  /** A peer's sessions have ended: what else there is of them in the vector is from nobody. */
  forgetRunsOf(v: InboundVector, peer: number): void {
    for (let i = 0; i < v.length; i++) if (this.#runPeers[i] === peer) this.#runPeers[i] = -1;
  }

  handleOutbound(v: OutboundVector, now: number): void {
    const { allowedIps, peers } = this.#state;
    // What is cut is appended, ready to be sent.
    const runs = v.length;
    for (let i = 0; i < runs; i++) {
      v.slot[i] = SLOT_NONE;
      v.endpoint[i] = -1;
      const count = v.count[i]!;
      const size = count > 1 ? v.stride[i]! : v.lastSize[i]!;
      const offset = v.offset[i]! + MESSAGE_HEADER_SIZE;
      const checked = checkPacket(v.arena, offset, size - MESSAGE_OVERHEAD);
      if (checked < 0) {
        this.#dropRun(v, i, checked === PACKET_OPTIONS ? 'out_options' : 'out_malformed');
        continue;
      }
      const number = allowedIps.lookupPacketDestination(v.arena, offset);
      const peer = number < 0 ? undefined : peers[number];
      if (peer === undefined) {
        this.#dropRun(v, i, isMulticast(v.arena, offset) ? 'out_multicast' : 'out_no_route');
      } else if (!this.#state.hasEndpoint(number)) {
        v.endpoint[i] = number;
        this.#dropRun(v, i, 'out_no_endpoint');
      } else {
        const keypair = peer.current;
        const staged = peer.staged.length;
        // Behind packets that still wait to be polled, unless that would drop some of them.
        const inOrder = staged === 0 || staged + count > STAGED_PACKETS;
        const ready = inOrder && keypair?.maySeal(count, now) === true;
        if (size > peer.inspectAbove) this.#inspectRun(v, i, peer, ready, now);
        else if (ready) this.#address(v, i, peer, keypair, now);
        else this.#stageRun(v, i, peer, now);
      }
    }
  }

  /** A run to a peer whose path is not known yet, or with packets that may be too long for it. */
  #inspectRun(v: OutboundVector, i: number, peer: Peer, ready: boolean, now: number): void {
    const sessions = this.#sessions;
    const isSettling = peer.path?.search.isSettling === true;
    const size = v.count[i]! > 1 ? v.stride[i]! : v.lastSize[i]!;
    const keypair = peer.current;
    if (!ready || keypair === undefined || (isSettling && this.#oversize.isToWait(v, i))) {
      this.#stageRun(v, i, peer, now);
    } else if (size - MESSAGE_OVERHEAD <= peer.pathMtu) {
      this.#oversize.clampRun(v, i, peer.pathMtu);
      this.#address(v, i, peer, keypair, now);
    } else {
      v.endpoint[i] = peer.number;
      this.#oversize.cutRun(v, i, peer, keypair, now);
      sessions.packetTraversed(peer, now);
      sessions.packetSent(peer, now);
      sessions.dataSent(peer, now);
      sessions.keepFreshSending(peer, keypair, now);
      if (now >= peer.pathDue) sessions.paths.due(peer, now);
    }
  }

  #dropRun(v: OutboundVector, i: number, reason: DropReason): void {
    const { drops } = this.#state;
    drops.add(reason, v.count[i]!);
    v.slot[i] = SLOT_DROPPED - drops.numberOf(reason);
  }

  /** Gives a run its keypair, counters and endpoint. */
  #address(v: OutboundVector, i: number, peer: Peer, keypair: Keypair, now: number): void {
    const { statistics } = this.#state;
    const sessions = this.#sessions;
    const p = peer.number;
    const count = v.count[i]!;
    v.head[i] = TYPE_TRANSPORT | (this.#state.relayIdOf(p) << 8);
    v.receiver[i] = keypair.remoteIndex;
    v.slot[i] = keypair.slot;
    v.endpoint[i] = p;
    v.counter[i] = keypair.counter;
    keypair.counter += count;
    statistics.txBytes[p] = statistics.txBytes[p]! + (count - 1) * v.stride[i]! + v.lastSize[i]!;
    sessions.packetTraversed(peer, now);
    sessions.packetSent(peer, now);
    sessions.dataSent(peer, now);
    sessions.keepFreshSending(peer, keypair, now);
    const size = count > 1 ? v.stride[i]! : v.lastSize[i]!;
    if (size > peer.largestSent) peer.largestSent = size;
    if (now >= peer.pathDue) sessions.paths.due(peer, now);
  }

  #stageRun(v: OutboundVector, i: number, peer: Peer, now: number): void {
    const { drops } = this.#state;
    const count = v.count[i]!;
    v.endpoint[i] = peer.number;
    for (let k = 0; k < count; k++) {
      const size = k < count - 1 ? v.stride[i]! : v.lastSize[i]!;
      const offset = v.offset[i]! + k * v.stride[i]! + MESSAGE_HEADER_SIZE;
      // Without its padding: that depends on when it is sent.
      const length = checkPacket(v.arena, offset, size - MESSAGE_OVERHEAD);
      if (length < 0) {
        drops.add(length === PACKET_MALFORMED ? 'out_malformed' : 'out_options');
        continue;
      }
      const lost = peer.staged.push(v.arena, offset, length);
      if (lost > 0) drops.add('out_staged_full', lost);
    }
    this.#sessions.sendStaged(peer, now);
  }
}

/** Whether every message of a run that was accepted is a path frame. */
function holdsOnlyFrames(v: InboundVector, i: number): boolean {
  for (let k = 0; k < v.count[i]!; k++) {
    const plain = v.plain[v.first[i]! + k]!;
    if (plain < 0) continue;
    const at = v.offset[i]! + k * v.stride[i]! + MESSAGE_HEADER_SIZE;
    if (plain === 0 || !isPathFrame(v.arena, at)) return false;
  }
  return true;
}
