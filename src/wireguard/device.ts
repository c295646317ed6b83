/**
 * A WireGuard device without its sockets, clock and random source (whitepaper, all of it).
 *
 * Four kinds of method:
 *   configure, up, down     what an operator does
 *   handle*(input, now)     something happened: messages arrived, packets are to be sent, time passed
 *   poll*()                 what the device wants: messages sent, to be woken, events logged
 *   peerOf*, refusalOf, ... questions while a vector is being worked on
 *
 * Per visit, receiving: handleInbound, aead.openVector, handleOpened, (write packets to the TUN),
 * handleHandshakes; sending: handleOutbound, aead.sealVector, (send). After either, and after
 * handleTimeout, poll until pollTransmit returns false: seal and send the vector before polling again.
 * Polling between receiving and sending keeps packets of a new session in order.
 *
 * Nothing that comes from the network makes it throw: it is dropped and counted.
 */
import type { DropReason } from '../drops.ts';
import { NO_VALUE } from '../routing/allowed-ips.ts';
import { MOST_TOO_BIG_SIZE } from '../routing/packet-too-big.ts';
import type { Instant } from '../time.ts';
import type { InboundVector, OutboundVector } from '../vector.ts';
import type { DeviceChange } from './configuration.ts';
import { CookieReplies } from './cookie-replies.ts';
import { DeviceConfiguration } from './device-configuration.ts';
import { type DeviceOptions, DeviceState } from './device-state.ts';
import { sameRemote } from './endpoint-record.ts';
import type { DeviceEvent } from './events.ts';
import { type Farewell, Farewells } from './farewells.ts';
import { Handshakes } from './handshakes.ts';
import { Oversize } from './oversize.ts';
import { Sessions } from './sessions.ts';
import { REKEY_TIMEOUT } from './timers.ts';
import { Transmitter } from './transmitter.ts';
import { Transport } from './transport.ts';

export type { DeviceOptions } from './device-state.ts';
export { SCRATCH_ENDPOINTS, SLOTS_PER_PEER } from './device-state.ts';
export type { DeviceEvent, DeviceEventType } from './events.ts';

/** What `pollAnswer` writes at most. */
export const MOST_ANSWER_SIZE = MOST_TOO_BIG_SIZE;

/** Reasons for which an authentic packet of a peer is not let in. */
export type InboundRefusal = Extract<
  DropReason,
  'in_source_not_allowed' | 'in_destination_not_own'
>;

/** Milliseconds in which an answer to an initiation comes, if it comes. */
const ANSWER_TIME = 1_000;

export class Device {
  readonly #state: DeviceState;
  readonly #sessions: Sessions;
  readonly #replies = new CookieReplies();
  readonly #handshakes: Handshakes;
  readonly #oversize: Oversize;
  readonly #transport: Transport;
  readonly #transmitter: Transmitter;
  readonly #farewells: Farewells;
  readonly #configuration: DeviceConfiguration;

  constructor(options: DeviceOptions) {
    this.#state = new DeviceState(options);
    this.#sessions = new Sessions(this.#state);
    this.#handshakes = new Handshakes(this.#state, this.#sessions, this.#replies);
    const oversize = new Oversize(this.#state);
    this.#oversize = oversize;
    this.#transport = new Transport(this.#state, this.#sessions, this.#handshakes, oversize);
    this.#transmitter = new Transmitter(this.#state, this.#sessions, this.#replies, oversize);
    this.#farewells = new Farewells(this.#state, this.#sessions);
    this.#configuration = new DeviceConfiguration(this.#state, this.#sessions);
  }

  /** MTU of the TUN in bytes: what padding does not exceed; 0 = no limit. */
  get mtu(): number {
    return this.#state.mtu;
  }

  set mtu(bytes: number) {
    if (bytes === this.#state.mtu) return;
    this.#state.mtu = bytes;
    this.#sessions.paths.lookAgain();
  }

  get isUp(): boolean {
    return this.#state.isUp;
  }

  /** Our public key; undefined without a private key. */
  get publicKey(): Uint8Array | undefined {
    return this.#state.identity?.publicKey;
  }

  /** Peers configured. */
  get peerCount(): number {
    return this.#state.byKey.size;
  }

  /**
   * Applies a change; `listenPort` and `fwmark` are the socket owner's.
   *
   * @throws CausewayError CONFIG_VALUE, with nothing changed
   */
  configure(change: DeviceChange, now: Instant): void {
    this.#configuration.apply(change, now.monotonic);
  }

  /**
   * A piece of work that makes a later handshake shorter: one X25519. False if there is none left; after
   * `configure` there may be again.
   */
  prepare(): boolean {
    return this.#state.prepareStaticStatic();
  }

  /** The link is up: handshakes and keepalives start. */
  up(now: Instant): void {
    const state = this.#state;
    if (state.isUp) return;
    state.isUp = true;
    for (const peer of state.byKey.values()) {
      peer.lastSentHandshake = Number.NEGATIVE_INFINITY;
      if (peer.persistentKeepalive > 0) this.#sessions.sendKeepalive(peer, now.monotonic);
    }
  }

  /** Has the edges told, with the next `pollTransmit`, that this is the end: `down` comes right after. */
  bidFarewell(): void {
    this.#farewells.bid();
  }

  /**
   * The link is down: no timers, no sessions, nothing staged. Handshake messages that come all the same
   * find a queue without room.
   */
  down(_now: Instant): void {
    const state = this.#state;
    state.isUp = false;
    for (const peer of state.byKey.values()) {
      state.timers.disarmAll(peer.number);
      this.#sessions.wipeSessions(peer);
      this.#sessions.paths.clear(peer);
      peer.needAnotherKeepalive = false;
      peer.attempts = 0;
      peer.farewells = 0;
    }
    this.#handshakes.clear();
    this.#replies.clear();
    this.#sessions.paths.pongs.clear();
  }

  /**
   * Received runs: fills `slot` where there is a key to open them with, SLOT_NONE elsewhere. Handshake
   * messages are copied away. A last message too short to be one is cut off its run.
   */
  handleInbound(v: InboundVector, now: Instant): void {
    this.#transport.handleInbound(v, now.monotonic);
  }

  /**
   * The same runs after opening: what was seen before becomes OPEN_REPLAYED. Everything else ≥ 0 is
   * from the run's peer and new; 0 is a keepalive.
   */
  handleOpened(v: InboundVector, now: Instant): void {
    this.#transport.handleOpened(v, now);
  }

  /**
   * Takes path frames out of an opened vector: their `plain` becomes 0. To be called when there are
   * any, which whoever reads the packets sees by their first byte.
   */
  handlePathFrames(v: InboundVector, now: Instant): void {
    this.#transport.handlePathFrames(v, now.monotonic);
  }

  /**
   * As an edge: what an opened run says of its sender's end. Of sessions that have ended `peerOfRun` says
   * no more then, in this vector either.
   */
  handleFarewell(v: InboundVector, run: number): Farewell {
    const farewell = this.#farewells.handle(v, run);
    if (farewell === 'ended') this.#transport.forgetRunsOf(v, this.peerOfRun(v, run));
    return farewell;
  }

  /** Number of the peer a run came from, after handleOpened; -1 if nothing of it is to be used. */
  peerOfRun(_v: InboundVector, run: number): number {
    return this.#transport.peerOfRun(run);
  }

  /**
   * Why the IP packet of a peer at `offset` is not let in: its source is not among the peer's allowed
   * IPs, or it is for no prefix that peers' packets may be for. Undefined = it is let in.
   */
  refusalOf(peer: number, bytes: Uint8Array, offset: number): InboundRefusal | undefined {
    const { allowedIps, destinations } = this.#state;
    if (allowedIps.lookupPacketSource(bytes, offset) !== peer) return 'in_source_not_allowed';
    if (
      destinations !== undefined &&
      destinations.lookupPacketDestination(bytes, offset) === NO_VALUE
    ) {
      return 'in_destination_not_own';
    }
    return undefined;
  }

  /**
   * Processes waiting handshake messages until `budget` is spent: one that needs public-key work (about
   * four operations) costs 1, any other a sixteenth. Returns how many still wait.
   */
  handleHandshakes(now: Instant, budget: number): number {
    return this.#handshakes.process(now, budget);
  }

  /** Handshake messages that wait for `handleHandshakes`. */
  get handshakesWaiting(): number {
    return this.#handshakes.waiting;
  }

  /** Handshakes take too much of the caller's time: for the next second they need a cookie. */
  enterUnderLoad(now: Instant): void {
    this.#handshakes.enterUnderLoad(now.monotonic);
  }

  /**
   * Runs read from the TUN, plaintext in place behind 16 bytes of room, padded; all messages of a run
   * have one destination. Fills head, receiver, counter, slot and endpoint; SLOT_NONE where a run was
   * staged (copied), SLOT_DROPPED and below where it was dropped. The endpoint is the peer's number, -1
   * without one.
   */
  handleOutbound(v: OutboundVector, now: Instant): void {
    this.#transport.handleOutbound(v, now.monotonic);
  }

  /**
   * Appends messages of the protocol's own: complete ones (SLOT_COMPLETE), and data to be sealed. True
   * if more remains than fits. Cookie replies use records behind the peers' in the endpoint table,
   * which stay valid until the vector is sent.
   */
  pollTransmit(v: OutboundVector, now: Instant): boolean {
    return this.#transmitter.poll(v, now);
  }

  /**
   * Writes an IP packet for the TUN to `out`, which has room for MOST_ANSWER_SIZE: the answer to a packet from
   * there that was too long. Its size, 0 = there is none.
   */
  pollAnswer(out: Uint8Array): number {
    return this.#oversize.shiftAnswer(out);
  }

  /** Monotonic milliseconds at which handleTimeout wants to be called, or Infinity. */
  pollTimeout(): number {
    return this.#state.timers.next();
  }

  handleTimeout(now: Instant): void {
    const { timers, peers } = this.#state;
    const { monotonic } = now;
    for (let p = timers.due(monotonic); p >= 0; p = timers.due(monotonic)) {
      const peer = peers[p];
      if (peer !== undefined) this.#sessions.handleTimers(peer, monotonic);
      timers.settle(p);
    }
  }

  /** Something to log; undefined when there is nothing more. */
  pollEvent(): DeviceEvent | undefined {
    return this.#state.events.shift();
  }

  /** The network changed: local addresses learnt from messages are forgotten. */
  clearStickySources(): void {
    for (const peer of this.#state.byKey.values()) this.#state.clearStickySource(peer.number);
    this.#sessions.paths.lookAgain();
  }

  /**
   * Tells every peer with a persistent keepalive where we are now, as after the network changed. A
   * handshake that went into the void is not waited for, but one that may still be answered is; and
   * however often the network changes, that happens once in REKEY_TIMEOUT.
   */
  sendKeepalives(now: Instant): void {
    for (const peer of this.#state.byKey.values()) {
      if (peer.persistentKeepalive === 0) continue;
      if (
        peer.current === undefined &&
        now.monotonic - peer.lastSentHandshake > ANSWER_TIME &&
        now.monotonic - peer.lastHurried > REKEY_TIMEOUT
      ) {
        peer.lastHurried = now.monotonic;
        peer.lastSentHandshake = Number.NEGATIVE_INFINITY;
      }
      this.#sessions.sendKeepalive(peer, now.monotonic);
    }
  }

  /**
   * Whether our last initiation to the peer went to the address of record `record`, and was answered
   * from there: the peer receives what is sent to it. Any other message may have a forged source.
   */
  answeredFrom(peer: number, words: Int32Array, record: number): boolean {
    const asked = this.#state.peers[peer];
    if (asked?.initiationTo === undefined || !asked.answered) return false;
    return sameRemote(asked.initiationTo, 0, words, record);
  }

  /** A message was too long for its way: paths with traffic are looked at now. */
  doubtPaths(now: number): void {
    this.#sessions.paths.doubt(now);
  }

  /** Number of a peer, -1 if it is not configured. */
  peerNumber(publicKeyHex: string): number {
    return this.#state.byKey.get(publicKeyHex)?.number ?? -1;
  }

  /** Public key by number, undefined if there is no such peer. */
  peerKey(peer: number): Uint8Array | undefined {
    return this.#state.peers[peer]?.publicKey;
  }
}
