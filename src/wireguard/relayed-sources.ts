/**
 * Where relayed messages come from: {address, port, relay id} (DESIGN § 2), and which peer is the edge
 * behind an address.
 *
 * Only the relays that were configured may put a relay id into the reserved bytes. One receive buffer
 * may hold runs of several relay ids behind one address, while it has one source record: a run with a
 * relay id gets a record of its own, from the spare ones behind those of the buffers.
 */

import { keyToHex } from '../keys.ts';
import { ENDPOINT_RECORD_WORDS, EndpointTable, type InboundVector } from '../vector.ts';
import type { RelayEndpoint } from './configuration.ts';
import { writeEndpoint } from './endpoint-record.ts';

/** Addresses of relays at most. */
export const MAX_RELAYS = 128;

/** Words of a record that say who the sender is, the relay id apart. */
const REMOTE_WORDS = 6;

export class RelayedSources {
  #relays = new EndpointTable(0);
  /** Public key by relay. */
  #keys: readonly string[] = [];
  /** Number of the edge's peer by relay, -1 = it is none. */
  #peers = new Int32Array(0);
  /** The relay that matched last: nearly always the one that matches next. */
  #last = 0;
  /** Next spare record of the vector at hand. */
  #next = 0;
  /** Relay id and buffer of the spare record made last. */
  #relayId = 0;
  #buffer = -1;

  /** Replaces the relays; `peerOf` says the number of a peer by its key, -1 if there is none. */
  setRelays(relays: readonly RelayEndpoint[], peerOf: (key: string) => number): void {
    this.#relays = new EndpointTable(relays.length);
    this.#keys = relays.map(({ publicKey }) => keyToHex(publicKey));
    this.#peers = Int32Array.from(this.#keys, peerOf);
    for (const [i, relay] of relays.entries()) writeEndpoint(this.#relays, i, relay);
    this.#last = 0;
  }

  /** There is a peer with this key now, of this number; -1 = no more. */
  setPeer(key: string, number: number): void {
    for (const [relay, own] of this.#keys.entries()) if (own === key) this.#peers[relay] = number;
  }

  /** Numbers of the edges' peers. */
  edges(): ReadonlySet<number> {
    return new Set(this.#peers.filter((number) => number >= 0));
  }

  /** Number of the edge's peer whose relay has the address of record `record`, or -1. Hot path. */
  peerAt(words: Int32Array, record: number): number {
    const relay = this.#find(words, record);
    return relay < 0 ? -1 : this.#peers[relay]!;
  }

  /** Before the runs of another vector: its spare records are free again. */
  begin(v: InboundVector): void {
    this.#next = v.buffers;
    this.#buffer = -1;
  }

  /**
   * Gives run `i` a source record with the relay id in its reserved bytes; false unless it came from a
   * relay. The records of one vector are as many as its runs, or none at all.
   */
  resolve(v: InboundVector, i: number): boolean {
    const relayId = v.head[i]! >>> 8;
    const buffer = v.source[i]!;
    if (buffer !== this.#buffer || relayId !== this.#relayId) {
      if (this.#next >= v.sources.capacity || this.#find(v.sources.words, buffer) < 0) return false;
      const { words } = v.sources;
      const from = buffer * ENDPOINT_RECORD_WORDS;
      const to = this.#next++ * ENDPOINT_RECORD_WORDS;
      for (let w = 0; w < ENDPOINT_RECORD_WORDS - 1; w++) words[to + w] = words[from + w]!;
      words[to + 11] = relayId;
      this.#buffer = buffer;
      this.#relayId = relayId;
    }
    v.source[i] = this.#next - 1;
    return true;
  }

  #find(words: Int32Array, source: number): number {
    const { capacity } = this.#relays;
    for (let tried = 0; tried < capacity; tried++) {
      const relay = (this.#last + tried) % capacity;
      if (this.#equals(relay, words, source)) {
        this.#last = relay;
        return relay;
      }
    }
    return -1;
  }

  #equals(relay: number, words: Int32Array, source: number): boolean {
    const own = this.#relays.words;
    const a = relay * ENDPOINT_RECORD_WORDS;
    const b = source * ENDPOINT_RECORD_WORDS;
    let differs = 0;
    for (let w = 0; w < REMOTE_WORDS; w++) differs |= own[a + w]! ^ words[b + w]!;
    return differs === 0;
  }
}
