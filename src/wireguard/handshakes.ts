/**
 * Handshake messages coming in: the queue, mac1, load shedding by cookies and rate limits (whitepaper
 * § 5.3), then the messages' meaning (§ 5.4.2 to 5.4.7).
 */

import { wipe } from '../bytes.ts';
import type { DropReason } from '../drops.ts';
import { keyToHex } from '../keys.ts';
import type { Instant } from '../time.ts';
import type { EndpointTable } from '../vector.ts';
import type { CookieReplies } from './cookie-replies.ts';
import type { DeviceState } from './device-state.ts';
import { sameRemote } from './endpoint-record.ts';
import {
  acceptInitiation,
  consumeResponse,
  createResponse,
  openInitiation,
  verifyInitiation,
} from './handshake.ts';
import { HANDSHAKE_QUEUE_SIZE, HandshakeQueue } from './handshake-queue.ts';
import { decodeCookieReply, readU32, TYPE_COOKIE_REPLY, TYPE_INITIATION } from './messages.ts';
import type { Peer } from './peer.ts';
import type { Sessions } from './sessions.ts';
import { isLater } from './tai64n.ts';
import { HANDSHAKE_INITIATION_RATE } from './timers.ts';

/** Messages waiting from which on we are under load, and for how long (milliseconds). */
export const UNDER_LOAD_QUEUE = HANDSHAKE_QUEUE_SIZE / 8;
export const UNDER_LOAD_AFTER_TIME = 1_000;

/** What a message costs that is dropped by its macs or answered with a cookie, in public-key ones. */
const CHEAP = 1 / 16;

export class Handshakes {
  readonly #state: DeviceState;
  readonly #sessions: Sessions;
  readonly #replies: CookieReplies;
  readonly #queue = new HandshakeQueue();

  constructor(state: DeviceState, sessions: Sessions, replies: CookieReplies) {
    this.#state = state;
    this.#sessions = sessions;
    this.#replies = replies;
  }

  get waiting(): number {
    return this.#queue.length;
  }

  clear(): void {
    this.#queue.clear();
  }

  /** Keeps a copy of a message of the right length for later; its source is record `source`. */
  enqueue(
    bytes: Uint8Array,
    offset: number,
    length: number,
    sources: EndpointTable,
    source: number,
    now: number,
  ): void {
    if (!this.#state.isUp || !this.#queue.push(bytes, offset, length, sources, source)) {
      this.#state.drops.add('in_handshake_queue_full');
      return;
    }
    if (this.#queue.length >= UNDER_LOAD_QUEUE) this.enterUnderLoad(now);
  }

  enterUnderLoad(now: number): void {
    const state = this.#state;
    if (now >= state.underLoadUntil) state.event('under-load', undefined, this.#queue.length);
    state.underLoadUntil = now + UNDER_LOAD_AFTER_TIME;
  }

  /**
   * Processes waiting messages, oldest first, until `budget` is spent: a message that needs public-key
   * work costs 1, any other a sixteenth. Returns how many still wait.
   */
  process(now: Instant, budget: number): number {
    let left = budget;
    while (this.#queue.length > 0 && left > 0) {
      left -= this.#processOne(now) ? 1 : CHEAP;
      this.#queue.shift();
    }
    return this.#queue.length;
  }

  /** True if it has needed public-key work. */
  #processOne(now: Instant): boolean {
    const { checker, drops, limiter, underLoadUntil } = this.#state;
    const message = this.#queue.peek();
    const words = this.#queue.sources;
    const source = this.#queue.source();
    const type = message[0]!;
    if (type === TYPE_COOKIE_REPLY) {
      this.#handleCookieReply(message, now.monotonic);
      return false;
    }
    if (!checker?.checkMac1(message)) {
      drops.add('in_mac1');
      return false;
    }
    if (now.monotonic < underLoadUntil) {
      if (!checker.checkMac2(message, words, source, now.monotonic)) {
        drops.add('in_mac2');
        this.#replies.push(
          checker.createReply(message, words, source, now.monotonic),
          words,
          source,
        );
        return false;
      }
      if (!limiter.allow(words, source, now.monotonic)) {
        drops.add('in_rate_limited');
        return false;
      }
    }
    if (type === TYPE_INITIATION) {
      const reason = this.#handleInitiation(message, words, source, now);
      if (reason !== undefined) drops.add(reason);
      return true;
    }
    return this.#handleResponse(message, words, source, now);
  }

  #handleCookieReply(message: Uint8Array, now: number): void {
    const reply = decodeCookieReply(message);
    const peer = reply && this.#peerByIndex(reply.receiver);
    if (!reply || !peer?.cookies.consumeReply(reply, now)) this.#state.drops.add('in_cookie');
  }

  /** Returns why it was dropped. */
  #handleInitiation(
    bytes: Uint8Array,
    words: Int32Array,
    source: number,
    now: Instant,
  ): DropReason | undefined {
    const state = this.#state;
    const { identity, primitives } = state;
    if (identity === undefined) return 'in_mac1';
    const opened = openInitiation(bytes, primitives, identity);
    if (opened === undefined) return 'in_handshake_auth';
    const peer = state.byKey.get(keyToHex(opened.remoteStatic));
    if (peer === undefined) return refused(opened, 'in_handshake_unknown_peer');
    const staticStatic = state.staticStaticOf(peer, identity);
    if (staticStatic === undefined) return refused(opened, 'in_handshake_auth');
    const verified = verifyInitiation(opened, primitives, staticStatic);
    if (verified === undefined) return 'in_handshake_auth';
    if (!isLater(verified.timestamp, peer.lastTimestamp)) {
      return refused(verified, 'in_handshake_replay');
    }
    if (now.monotonic - peer.lastInitiation <= HANDSHAKE_INITIATION_RATE) {
      return refused(verified, 'in_handshake_flood');
    }
    peer.lastTimestamp.set(verified.timestamp);
    peer.lastInitiation = now.monotonic;
    acceptInitiation(peer.handshake, opened.message, verified);
    this.#messageReceived(peer, bytes.length, words, source, now.monotonic);
    this.#respond(peer, now.monotonic);
    return undefined;
  }

  #respond(peer: Peer, now: number): void {
    const state = this.#state;
    // Ours, if one was pending: the peer's initiation takes its place.
    state.indexes.remove(peer.handshake.localIndex);
    peer.handshake.localIndex = 0;
    peer.wantsInitiation = false;
    peer.lastSentHandshake = now;
    const ephemeral = new Uint8Array(32);
    state.random(ephemeral);
    const response = createResponse(
      peer.handshake,
      state.primitives,
      peer.publicKey,
      peer.presharedKey,
      ephemeral,
      state.newIndex(),
    );
    if (response === undefined) {
      state.drops.add('in_handshake_auth');
      return;
    }
    peer.cookies.addMacs(response, now);
    this.#sessions.begin(peer, false, now);
    this.#sessions.packetTraversed(peer, now);
    this.#sessions.packetSent(peer, now);
    peer.response = response;
    state.enqueue(peer);
  }

  /** True if it has needed public-key work. */
  #handleResponse(bytes: Uint8Array, words: Int32Array, source: number, now: Instant): boolean {
    const state = this.#state;
    const { identity, indexes, drops } = state;
    const place = indexes.find(readU32(bytes, 8));
    const peer = place < 0 ? undefined : indexes.peerAt(place);
    if (
      identity === undefined ||
      peer === undefined ||
      indexes.keypairAt(place) !== undefined ||
      peer.handshake.state !== 'initiation-created'
    ) {
      drops.add('in_handshake_auth');
      return false;
    }
    if (!consumeResponse(peer.handshake, bytes, state.primitives, identity, peer.presharedKey)) {
      drops.add('in_handshake_auth');
      return true;
    }
    peer.answered =
      peer.initiationTo !== undefined && sameRemote(peer.initiationTo, 0, words, source);
    this.#messageReceived(peer, bytes.length, words, source, now.monotonic);
    this.#sessions.begin(peer, true, now.monotonic);
    this.#sessions.handshakeComplete(peer, now, true);
    // Tells the responder that the session is in use, with data if there is any.
    this.#sessions.sendKeepalive(peer, now.monotonic);
    return true;
  }

  #messageReceived(
    peer: Peer,
    length: number,
    words: Int32Array,
    source: number,
    now: number,
  ): void {
    const { statistics } = this.#state;
    statistics.rxBytes[peer.number] = statistics.rxBytes[peer.number]! + length;
    this.#sessions.roam(peer, words, source, now);
    this.#sessions.packetTraversed(peer, now);
    this.#sessions.packetReceived(peer, now);
  }

  #peerByIndex(index: number): Peer | undefined {
    const place = this.#state.indexes.find(index);
    return place < 0 ? undefined : this.#state.indexes.peerAt(place);
  }
}

/** Wipes what an initiation that comes to nothing was opened with. */
function refused(
  secrets: { readonly chain: Uint8Array; readonly hash: Uint8Array },
  reason: DropReason,
): DropReason {
  wipe(secrets.chain, secrets.hash);
  return reason;
}
