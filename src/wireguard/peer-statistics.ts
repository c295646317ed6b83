/**
 * Per-peer figures in memory that another thread may read while the data plane writes: bytes, the
 * last handshake, the path's figures and a copy of the endpoint record.
 *
 * The byte counters and the path's figures are single stores and read as they are. Handshake time and endpoint are
 * more than one word, so a writer makes the peer's sequence word odd before and even after, and a
 * reader tries again until it has seen the same even number twice.
 *
 * Layout, n = maxPeers: rxBytes f64[n], txBytes f64[n], lastHandshake f64[n], roundTrip f64[n],
 * pathMtu i32[n], sequence i32[n], endpoint i32[12 n] (`EndpointTable` in vector.ts).
 */
import { ENDPOINT_RECORD_WORDS } from '../vector.ts';

const BYTES_PER_PEER = 4 * 8 + 2 * 4 + ENDPOINT_RECORD_WORDS * 4;

/** What a reader gets; reuse one for many reads. */
export interface PeerFigures {
  /** UDP payload bytes of authentic messages of the peer. */
  rxBytes: number;
  /** UDP payload bytes of messages sent to the peer. */
  txBytes: number;
  /** Milliseconds since the Unix epoch, 0 = never. */
  lastHandshake: number;
  /** Round-trip time of the path in milliseconds, 0 = not measured. */
  roundTrip: number;
  /** Bytes of the largest inner packet that the path carries; negative as long as it is looked for. */
  pathMtu: number;
  /** One endpoint record; word 0 is 0 if there is none. */
  readonly endpoint: Int32Array;
}

export function createPeerFigures(): PeerFigures {
  return {
    rxBytes: 0,
    txBytes: 0,
    lastHandshake: 0,
    roundTrip: 0,
    pathMtu: 0,
    endpoint: new Int32Array(ENDPOINT_RECORD_WORDS),
  };
}

export class PeerStatistics {
  readonly maxPeers: number;
  readonly buffer: ArrayBufferLike;
  /** Written by the data plane only; on the hot path by plain stores. */
  readonly rxBytes: Float64Array;
  readonly txBytes: Float64Array;
  readonly #lastHandshake: Float64Array;
  readonly #roundTrip: Float64Array;
  readonly #pathMtu: Int32Array;
  readonly #sequence: Int32Array;
  readonly #endpoints: Int32Array;

  /** Bytes of memory for so many peers. */
  static bytesFor(maxPeers: number): number {
    return maxPeers * BYTES_PER_PEER;
  }

  constructor(
    maxPeers: number,
    buffer: ArrayBufferLike = new ArrayBuffer(PeerStatistics.bytesFor(maxPeers)),
  ) {
    this.maxPeers = maxPeers;
    this.buffer = buffer;
    this.rxBytes = new Float64Array(buffer, 0, maxPeers);
    this.txBytes = new Float64Array(buffer, maxPeers * 8, maxPeers);
    this.#lastHandshake = new Float64Array(buffer, maxPeers * 16, maxPeers);
    this.#roundTrip = new Float64Array(buffer, maxPeers * 24, maxPeers);
    this.#pathMtu = new Int32Array(buffer, maxPeers * 32, maxPeers);
    this.#sequence = new Int32Array(buffer, maxPeers * 36, maxPeers);
    this.#endpoints = new Int32Array(buffer, maxPeers * 40, maxPeers * ENDPOINT_RECORD_WORDS);
  }

  /** Writer: a handshake has completed; `unix` in milliseconds. */
  setLastHandshake(peer: number, unix: number): void {
    Atomics.add(this.#sequence, peer, 1);
    this.#lastHandshake[peer] = unix;
    Atomics.add(this.#sequence, peer, 1);
  }

  /** Writer: of the path in use; milliseconds, 0 = not measured. */
  setRoundTrip(peer: number, milliseconds: number): void {
    this.#roundTrip[peer] = milliseconds;
  }

  /** Writer: bytes, 0 = no path is looked after; whether probes have been answered at that size. */
  setPathMtu(peer: number, mtu: number, confirmed: boolean): void {
    this.#pathMtu[peer] = confirmed ? mtu : -mtu;
  }

  /** Writer: copies record `record` of `words`. */
  setEndpoint(peer: number, words: Int32Array, record: number): void {
    const from = record * ENDPOINT_RECORD_WORDS;
    const to = peer * ENDPOINT_RECORD_WORDS;
    Atomics.add(this.#sequence, peer, 1);
    for (let i = 0; i < ENDPOINT_RECORD_WORDS; i++) this.#endpoints[to + i] = words[from + i]!;
    Atomics.add(this.#sequence, peer, 1);
  }

  /** Writer: a number is given back, or to a new peer. */
  clear(peer: number): void {
    Atomics.add(this.#sequence, peer, 1);
    this.rxBytes[peer] = 0;
    this.txBytes[peer] = 0;
    this.#lastHandshake[peer] = 0;
    this.#roundTrip[peer] = 0;
    this.#pathMtu[peer] = 0;
    const at = peer * ENDPOINT_RECORD_WORDS;
    this.#endpoints.fill(0, at, at + ENDPOINT_RECORD_WORDS);
    Atomics.add(this.#sequence, peer, 1);
  }

  /** Reader, in any thread: one consistent picture. */
  read(peer: number, into: PeerFigures): void {
    const at = peer * ENDPOINT_RECORD_WORDS;
    for (;;) {
      const before = Atomics.load(this.#sequence, peer);
      into.rxBytes = this.rxBytes[peer]!;
      into.txBytes = this.txBytes[peer]!;
      into.lastHandshake = this.#lastHandshake[peer]!;
      into.roundTrip = this.#roundTrip[peer]!;
      into.pathMtu = this.#pathMtu[peer]!;
      for (let i = 0; i < ENDPOINT_RECORD_WORDS; i++) into.endpoint[i] = this.#endpoints[at + i]!;
      if ((before & 1) === 0 && Atomics.load(this.#sequence, peer) === before) return;
    }
  }
}
