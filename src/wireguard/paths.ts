/**
 * The paths to peers of our own kind (DESIGN § 2, path frames): when they are measured, and what
 * frames that arrive do. Nothing is sent on a path that carries nothing.
 *
 * A path frame never moves an endpoint, and is no sign of life for WireGuard's timers unless it comes
 * from where the peer is.
 */
import type { DeviceState } from './device-state.ts';
import { sameRemote } from './endpoint-record.ts';
import { readU32 } from './messages.ts';
import { Path } from './path.ts';
import { decodePathFrame, PATH_FRAME_ID, PATH_FRAME_SIZE, PATH_PING } from './path-frames.ts';
import type { Peer } from './peer.ts';
import { Pongs } from './pongs.ts';

/** Milliseconds from one measurement to the next while there is traffic. */
export const MEASURE_INTERVAL = 5_000;

const NEVER = Number.POSITIVE_INFINITY;

export class Paths {
  readonly pongs = new Pongs();
  readonly #state: DeviceState;

  constructor(state: DeviceState) {
    this.#state = state;
  }

  /** Whether the peer is of our own kind: a stock peer is never sent a frame, and its are dropped. */
  setFrames(peer: Peer, wanted: boolean, now: number): void {
    if (wanted === (peer.path !== undefined)) return;
    this.clear(peer);
    peer.path = wanted ? new Path() : undefined;
    if (peer.current !== undefined) this.established(peer, now);
  }

  /** There is a session. */
  established(peer: Peer, now: number): void {
    if (peer.path === undefined) return;
    this.#measure(peer, peer.path, now);
  }

  /** The peer's endpoint is another one: another path. */
  moved(peer: Peer, now: number): void {
    const { path } = peer;
    if (path === undefined) return;
    path.forget();
    this.#state.statistics.setRoundTrip(peer.number, 0);
    if (peer.current !== undefined) this.#measure(peer, path, now);
  }

  /** Data was sent at or after `peer.pathDue`. */
  due(peer: Peer, now: number): void {
    if (peer.path !== undefined) this.#measure(peer, peer.path, now);
    else peer.pathDue = NEVER;
  }

  /** The link is down, or the peer is removed. */
  clear(peer: Peer): void {
    peer.pathDue = NEVER;
    peer.path?.forget();
    this.#state.statistics.setRoundTrip(peer.number, 0);
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
      drops.add('in_inner_malformed');
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
  }

  #measure(peer: Peer, path: Path, now: number): void {
    peer.pathDue = now + MEASURE_INTERVAL;
    if (path.nextSize !== 0) return;
    path.want(PATH_FRAME_SIZE);
    this.#state.enqueue(peer);
  }
}
