/**
 * The paths to peers of our own kind (DESIGN § 2, path frames): when they are measured, what frames that
 * arrive do, and which MTU is in force. Nothing is sent on a path that carries nothing.
 *
 * A path frame never moves an endpoint, and is no sign of life for WireGuard's timers unless it comes
 * from where the peer is.
 */
import { MAX_DATAGRAM_SIZE, MESSAGE_OVERHEAD } from '../vector.ts';
import type { DeviceState } from './device-state.ts';
import { sameRemote } from './endpoint-record.ts';
import { readU32 } from './messages.ts';
import { Path } from './path.ts';
import { decodePathFrame, PATH_FRAME_ID, PATH_FRAME_SIZE, PATH_PING } from './path-frames.ts';
import { NARROW_MTU } from './path-mtu.ts';
import type { Peer } from './peer.ts';
import { Pongs } from './pongs.ts';
import { PATH_PROBE } from './timers.ts';

/** Milliseconds from one measurement of the round trip to the next while there is traffic. */
export const MEASURE_INTERVAL = 5_000;
/** While there is, whether large packets get through is asked so often, if any are sent. */
export const CONFIRM_INTERVAL = 500;
/** A path that answered nothing is asked again after this, if there is traffic for it. */
const RETRY_INTERVAL = 5_000;
/** The longest message that a datagram holds leaves it. */
const MOST_MTU = MAX_DATAGRAM_SIZE - MESSAGE_OVERHEAD;

const NEVER = Number.POSITIVE_INFINITY;

export class Paths {
  readonly pongs = new Pongs();
  readonly #state: DeviceState;
  #doubted = Number.NEGATIVE_INFINITY;

  constructor(state: DeviceState) {
    this.#state = state;
  }

  /** Whether the peer is of our own kind: a stock peer is never sent a frame, and its are dropped. */
  setFrames(peer: Peer, wanted: boolean, now: number): void {
    if (wanted === (peer.path !== undefined)) return;
    this.clear(peer);
    peer.path = wanted ? new Path(this.#top()) : undefined;
    this.#publish(peer);
    if (peer.current !== undefined) this.established(peer, now);
  }

  /** There is a session. */
  established(peer: Peer, now: number): void {
    const { path } = peer;
    if (path === undefined) return;
    peer.pathDue = now + CONFIRM_INTERVAL;
    const { search, roundTrip } = path;
    if (search.state !== 'confirmed' && !search.isSearching) search.confirm(now, roundTrip.wait);
    else path.want(PATH_FRAME_SIZE);
    this.#pump(peer, path);
  }

  /** The peer's endpoint is another one: another path. */
  moved(peer: Peer, now: number): void {
    const { path } = peer;
    if (path === undefined) return;
    path.forget();
    this.#state.statistics.setRoundTrip(peer.number, 0);
    if (peer.current === undefined) path.search.reset(this.#top());
    else path.search.start(now, path.roundTrip.wait);
    this.#pump(peer, path);
  }

  /** The TUN's MTU is another one, or the network has changed: all paths are looked at again. */
  lookAgain(): void {
    const top = this.#top();
    for (const peer of this.#state.byKey.values()) {
      const { path } = peer;
      if (path === undefined) continue;
      // With the next packet: there may be many peers, and many changes.
      peer.pathDue = Number.NEGATIVE_INFINITY;
      peer.largestSent = MAX_DATAGRAM_SIZE;
      path.search.raiseSoon();
      if (path.search.top === top) continue;
      path.search.reset(top);
      this.#pump(peer, path);
    }
  }

  /** A message was too long for its way: a hint, no more, and heeded once in a while. */
  doubt(now: number): void {
    if (now - this.#doubted < CONFIRM_INTERVAL) return;
    this.#doubted = now;
    this.lookAgain();
  }

  /** Data was sent at or after `peer.pathDue`. */
  due(peer: Peer, now: number): void {
    const { path } = peer;
    if (path === undefined) {
      peer.pathDue = NEVER;
      return;
    }
    const { search, roundTrip } = path;
    const large = peer.largestSent >= Math.min(NARROW_MTU, search.mtu) + MESSAGE_OVERHEAD;
    const answers = search.state !== 'unanswered';
    peer.pathDue = now + (answers ? CONFIRM_INTERVAL : RETRY_INTERVAL);
    peer.largestSent = 0;
    if (search.isSearching || search.raise(now, roundTrip.wait)) {
      // It asks by itself.
    } else if (large || !answers) {
      search.confirm(now, roundTrip.wait);
    } else if (now - path.measuredAt >= MEASURE_INTERVAL && path.nextSize === 0) {
      path.want(PATH_FRAME_SIZE);
    }
    this.#pump(peer, path);
  }

  handleTimer(peer: Peer, now: number): void {
    const { path } = peer;
    if (path === undefined) return;
    path.search.handleTimeout(now, path.roundTrip.wait);
    this.#pump(peer, path);
  }

  /** The link is down, or the peer is removed. */
  clear(peer: Peer): void {
    const { path } = peer;
    peer.pathDue = NEVER;
    this.#state.statistics.setRoundTrip(peer.number, 0);
    if (path === undefined) return;
    path.forget();
    path.search.reset(this.#top());
    this.#pump(peer, path);
  }

  /** A frame of the peer, from record `source` of `words`. */
  handleFrame(
    peer: Peer,
    bytes: Uint8Array,
    offset: number,
    length: number,
    words: Int32Array,
    source: number,
    now: number,
  ): void {
    const { drops, endpoints } = this.#state;
    const { path } = peer;
    if (path === undefined) {
      drops.add('in_frame_stranger');
      return;
    }
    const type = decodePathFrame(bytes, offset, length);
    if (type === 0) {
      drops.add('in_frame_malformed');
      return;
    }
    const id0 = readU32(bytes, offset + PATH_FRAME_ID);
    const id1 = readU32(bytes, offset + PATH_FRAME_ID + 4);
    if (type === PATH_PING) {
      if (!path.mayAnswer(now) || !this.pongs.push(peer.number, id0, id1, words, source)) {
        drops.add('in_frame_limited');
      }
      return;
    }
    const here = sameRemote(endpoints.words, peer.number, words, source);
    const size = here ? path.answered(id0, id1, now) : 0;
    if (size === 0) {
      drops.add('in_frame_unexpected');
      return;
    }
    this.#state.statistics.setRoundTrip(peer.number, path.roundTrip.smoothed);
    path.search.handleAnswer(size, now, path.roundTrip.wait);
    this.#pump(peer, path);
  }

  /** Has what the search wants sent, and its timer set; what is in force may be another MTU now. */
  #pump(peer: Peer, path: Path): void {
    const { timers } = this.#state;
    const { search } = path;
    for (let size = search.pollProbe(); size > 0; size = search.pollProbe()) path.want(size);
    // Packets that wait to learn what the path carries may go.
    const waiting = peer.staged.length > 0 && peer.current !== undefined;
    if (path.nextSize > 0 || waiting) this.#state.enqueue(peer);
    if (search.deadline === NEVER) timers.disarm(peer.number, PATH_PROBE);
    else timers.arm(peer.number, PATH_PROBE, search.deadline);
    this.#publish(peer);
  }

  #publish(peer: Peer): void {
    const { statistics } = this.#state;
    const { path } = peer;
    const search = path?.search;
    const mtu = search?.mtu ?? 0;
    const isWide = search === undefined || (mtu >= search.top && !search.isGuess);
    peer.inspectAbove = isWide ? NEVER : 0;
    peer.pathMtu = mtu;
    const known = search?.isGuess === false ? mtu : 0;
    statistics.setPathMtu(peer.number, known, search?.state === 'confirmed');
    if (path === undefined || known === path.announced) return;
    path.announced = known;
    this.#state.event('path-mtu', peer, known);
  }

  #top(): number {
    const { mtu } = this.#state;
    return mtu === 0 ? MOST_MTU : Math.min(mtu, MOST_MTU);
  }
}
