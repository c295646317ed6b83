/**
 * When sessions begin, are renewed and end (whitepaper § 5.4.5, 6): what the timers do, what sending
 * and receiving do to the timers, and the rotation of a peer's keypairs.
 */
import { wipe } from '../bytes.ts';
import type { Instant } from '../time.ts';
import type { DeviceState } from './device-state.ts';
import { deriveKeys } from './handshake.ts';
import { Keypair } from './keypair.ts';
import { Paths } from './paths.ts';
import type { Peer } from './peer.ts';
import { RelayWatch } from './relay-watch.ts';
import {
  KEEPALIVE_TIMEOUT,
  MAX_HANDSHAKE_ATTEMPTS,
  NEW_HANDSHAKE,
  PATH_PROBE,
  PERSISTENT_KEEPALIVE,
  REJECT_AFTER_MESSAGES,
  REJECT_AFTER_TIME,
  REKEY_AFTER_MESSAGES,
  REKEY_AFTER_TIME,
  REKEY_JITTER,
  REKEY_TIMEOUT,
  RELAY_PROBE,
  RETRANSMIT_HANDSHAKE,
  SEND_KEEPALIVE,
  ZERO_KEY_MATERIAL,
} from './timers.ts';

const NOTHING = new Uint8Array(0);

export class Sessions {
  readonly #state: DeviceState;
  readonly paths: Paths;
  readonly #relayWatch: RelayWatch;

  constructor(state: DeviceState) {
    this.#state = state;
    this.paths = new Paths(state);
    this.#relayWatch = new RelayWatch(state);
  }

  /** An authentic message came from record `source` of `words`. */
  roam(peer: Peer, words: Int32Array, source: number, now: number): void {
    if (this.#state.roam(peer, words, source)) this.paths.moved(peer, now);
  }

  /** Asks for an initiation, unless one is younger than REKEY_TIMEOUT (§ 6.1, 6.4). */
  initiate(peer: Peer, now: number, isRetry: boolean): void {
    const state = this.#state;
    if (!isRetry) peer.attempts = 0;
    if (!state.isUp || state.identity === undefined) return;
    if (now - peer.lastSentHandshake < REKEY_TIMEOUT) {
      // A response of ours was the last thing sent; if nothing comes of it, the retries go on.
      if (isRetry) this.#armRetry(peer, peer.lastSentHandshake);
      return;
    }
    peer.lastSentHandshake = now;
    peer.wantsInitiation = true;
    const edge = this.#relayWatch.edgeInDoubt(peer);
    if (edge !== undefined) this.sendKeepalive(edge, now);
    state.enqueue(peer);
    if (state.hasEndpoint(peer.number)) state.event('handshake-started', peer, peer.attempts);
    this.packetTraversed(peer, now);
    this.packetSent(peer, now);
    this.#armRetry(peer, now);
  }

  /** Has what is staged transmitted, over the current session or after a handshake. */
  sendStaged(peer: Peer, now: number): void {
    if (peer.staged.length === 0 || !this.#state.isUp) return;
    if (peer.current?.maySeal(1, now)) this.#state.enqueue(peer);
    else this.initiate(peer, now, false);
  }

  /** Has an empty message transmitted, unless anything is staged: that says the same. */
  sendKeepalive(peer: Peer, now: number): void {
    if (!this.#state.isUp) return;
    if (peer.staged.length === 0) peer.staged.push(NOTHING, 0, 0);
    this.sendStaged(peer, now);
  }

  /** § 6.2, sender: a new session when this one is old or much used. */
  keepFreshSending(peer: Peer, keypair: Keypair, now: number): void {
    if (
      keypair.counter > REKEY_AFTER_MESSAGES ||
      (keypair.isInitiator && now - keypair.created > REKEY_AFTER_TIME)
    ) {
      this.initiate(peer, now, false);
    }
  }

  /** § 6.2, receiver: the initiator renews a session in time even if it has nothing to send. */
  keepFreshReceiving(peer: Peer, now: number): void {
    const current = peer.current;
    if (peer.sentLastMinuteHandshake || current === undefined || !current.isInitiator) return;
    if (now - current.created > REJECT_AFTER_TIME - KEEPALIVE_TIMEOUT - REKEY_TIMEOUT) {
      peer.sentLastMinuteHandshake = true;
      this.initiate(peer, now, false);
    }
  }

  /** Any authentic message, sent or received. */
  packetTraversed(peer: Peer, now: number): void {
    if (peer.persistentKeepalive > 0 && this.#state.isUp) {
      this.#state.timers.arm(peer.number, PERSISTENT_KEEPALIVE, now + peer.persistentKeepalive);
    }
  }

  /** Any authentic message sent, keepalives included: it is as good as a keepalive. */
  packetSent(peer: Peer, now: number): void {
    this.#state.timers.disarm(peer.number, SEND_KEEPALIVE);
    this.#relayWatch.sent(peer, now);
  }

  /** Any authentic message received, keepalives included, from its endpoint: the peer is there. */
  packetReceived(peer: Peer, now: number): void {
    this.#state.timers.disarm(peer.number, NEW_HANDSHAKE);
    this.#relayWatch.received(peer, now);
  }

  /** Data sent: an answer is due within KEEPALIVE_TIMEOUT + REKEY_TIMEOUT. */
  dataSent(peer: Peer, now: number): void {
    const { timers, words, isUp } = this.#state;
    if (!isUp || timers.isArmed(peer.number, NEW_HANDSHAKE)) return;
    const delay = KEEPALIVE_TIMEOUT + REKEY_TIMEOUT + words.below(REKEY_JITTER + 1);
    timers.arm(peer.number, NEW_HANDSHAKE, now + delay);
  }

  /** Data received: we owe an answer within KEEPALIVE_TIMEOUT. */
  dataReceived(peer: Peer, now: number): void {
    const { timers, isUp } = this.#state;
    if (!isUp) return;
    if (timers.isArmed(peer.number, SEND_KEEPALIVE)) peer.needAnotherKeepalive = true;
    else timers.arm(peer.number, SEND_KEEPALIVE, now + KEEPALIVE_TIMEOUT);
  }

  /** Both sides are known to have the session. */
  handshakeComplete(peer: Peer, now: Instant, isInitiator: boolean): void {
    const state = this.#state;
    state.timers.disarm(peer.number, RETRANSMIT_HANDSHAKE);
    peer.attempts = 0;
    peer.sentLastMinuteHandshake = false;
    state.statistics.setLastHandshake(peer.number, now.unix);
    state.event('session-established', peer, isInitiator ? 1 : 0);
    this.paths.established(peer, now.monotonic);
  }

  /**
   * Turns a finished handshake into a keypair. The initiator's becomes current at once, the
   * responder's waits as `next` until the initiator has used it.
   */
  begin(peer: Peer, isInitiator: boolean, now: number): void {
    const state = this.#state;
    const { handshake } = peer;
    const { localIndex, remoteIndex } = handshake;
    if (isInitiator) {
      if (peer.next !== undefined) {
        // The peer's session, unconfirmed: it outlives the one that was current.
        this.#discard(peer.previous);
        this.#discard(peer.current);
        peer.previous = peer.next;
        peer.next = undefined;
      } else {
        this.#discard(peer.previous);
        peer.previous = peer.current;
      }
      peer.current = undefined;
    } else {
      this.#discard(peer.next);
      this.#discard(peer.previous);
      peer.next = undefined;
      peer.previous = undefined;
    }
    const slot = state.slots.take();
    const keypair = new Keypair(peer, slot, localIndex, remoteIndex, isInitiator, now);
    const { sealing, opening } = deriveKeys(handshake, state.primitives, isInitiator);
    state.aead.setKeys(slot, sealing, opening);
    wipe(sealing, opening);
    state.indexes.insert(localIndex, peer, keypair);
    handshake.localIndex = 0;
    if (isInitiator) peer.current = keypair;
    else peer.next = keypair;
    state.timers.arm(peer.number, ZERO_KEY_MATERIAL, now + REJECT_AFTER_TIME * 3);
  }

  /** The initiator has used the session we answered: from now on it is ours to use too. */
  confirmNext(peer: Peer): void {
    this.#discard(peer.previous);
    peer.previous = peer.current;
    peer.current = peer.next;
    peer.next = undefined;
  }

  /** Ends the pending handshake, if any. */
  abandonHandshake(peer: Peer): void {
    this.#state.indexes.remove(peer.handshake.localIndex);
    peer.handshake.localIndex = 0;
    peer.handshake.clear();
    peer.wantsInitiation = false;
    peer.response = undefined;
  }

  /** Wipes all keys of a peer and drops what waits for a session. */
  wipeSessions(peer: Peer): void {
    this.#discard(peer.previous);
    this.#discard(peer.current);
    this.#discard(peer.next);
    peer.previous = undefined;
    peer.current = undefined;
    peer.next = undefined;
    this.abandonHandshake(peer);
    this.dropStaged(peer);
  }

  /**
   * The peer's current session is over, and the one before. A session that it has not used yet is of the
   * run that follows, and stays.
   */
  endCurrent(peer: Peer): void {
    const { timers } = this.#state;
    if (peer.next === undefined) {
      timers.disarmAll(peer.number);
      this.wipeSessions(peer);
    } else {
      this.#discard(peer.previous);
      this.#discard(peer.current);
      peer.previous = undefined;
      peer.current = undefined;
      timers.disarm(peer.number, SEND_KEEPALIVE);
      timers.disarm(peer.number, NEW_HANDSHAKE);
    }
    peer.needAnotherKeepalive = false;
    peer.attempts = 0;
  }

  /** Our private key changed: sessions still open what comes, but seal nothing more. */
  expireSessions(peer: Peer): void {
    this.abandonHandshake(peer);
    peer.lastSentHandshake = Number.NEGATIVE_INFINITY;
    if (peer.current !== undefined) peer.current.counter = REJECT_AFTER_MESSAGES;
    if (peer.next !== undefined) peer.next.counter = REJECT_AFTER_MESSAGES;
  }

  dropStaged(peer: Peer): void {
    const lost = peer.staged.clear();
    if (lost > 0) this.#state.drops.add('out_staged_expired', lost);
  }

  /** Runs the timers of a peer that have gone off. */
  handleTimers(peer: Peer, now: number): void {
    const { timers } = this.#state;
    const p = peer.number;
    if (timers.take(p, RETRANSMIT_HANDSHAKE, now)) this.#retransmitHandshake(peer, now);
    if (timers.take(p, SEND_KEEPALIVE, now)) {
      this.sendKeepalive(peer, now);
      if (peer.needAnotherKeepalive) {
        peer.needAnotherKeepalive = false;
        timers.arm(p, SEND_KEEPALIVE, now + KEEPALIVE_TIMEOUT);
      }
    }
    if (timers.take(p, NEW_HANDSHAKE, now)) {
      this.#state.clearStickySource(p);
      this.initiate(peer, now, false);
    }
    if (timers.take(p, ZERO_KEY_MATERIAL, now)) {
      this.wipeSessions(peer);
      this.#state.event('keys-wiped', peer, 0);
    }
    if (timers.take(p, PERSISTENT_KEEPALIVE, now) && peer.persistentKeepalive > 0) {
      this.sendKeepalive(peer, now);
    }
    if (timers.take(p, RELAY_PROBE, now)) {
      this.sendKeepalive(peer, now);
      this.#relayWatch.probed(peer, now);
    }
    if (timers.take(p, PATH_PROBE, now)) this.paths.handleTimer(peer, now);
  }

  #armRetry(peer: Peer, since: number): void {
    const { timers, words } = this.#state;
    const delay = REKEY_TIMEOUT + words.below(REKEY_JITTER + 1);
    timers.arm(peer.number, RETRANSMIT_HANDSHAKE, since + delay);
  }

  #retransmitHandshake(peer: Peer, now: number): void {
    const { timers } = this.#state;
    if (peer.attempts + 1 >= MAX_HANDSHAKE_ATTEMPTS) {
      timers.disarm(peer.number, SEND_KEEPALIVE);
      this.dropStaged(peer);
      if (!timers.isArmed(peer.number, ZERO_KEY_MATERIAL)) {
        timers.arm(peer.number, ZERO_KEY_MATERIAL, now + REJECT_AFTER_TIME * 3);
      }
      this.#state.event('handshake-gave-up', peer, peer.attempts);
      return;
    }
    peer.attempts++;
    this.#state.clearStickySource(peer.number);
    this.initiate(peer, now, true);
  }

  #discard(keypair: Keypair | undefined): void {
    if (keypair === undefined) return;
    const state = this.#state;
    state.indexes.remove(keypair.localIndex);
    state.aead.clearKeys(keypair.slot);
    state.slots.give(keypair.slot);
  }
}
