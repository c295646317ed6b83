/**
 * Our session indexes: random 32-bit numbers that name a keypair or a pending handshake of a peer in
 * messages sent to us (whitepaper § 5.4.2, "sender" and "receiver").
 *
 * Open addressing with linear probing over plain memory; a lookup allocates nothing. The indexes are
 * random already, so their low bits are the hash. Index 0 is never given out and marks free places.
 */
import type { Keypair } from './keypair.ts';
import type { Peer } from './peer.ts';

export class IndexTable {
  readonly #keys: Uint32Array;
  readonly #peers: (Peer | undefined)[];
  readonly #keypairs: (Keypair | undefined)[];
  readonly #mask: number;
  #size = 0;

  /** `capacity`: indexes in use at most; the table is at most half full. */
  constructor(capacity: number) {
    let places = 16;
    while (places < capacity * 2) places *= 2;
    this.#mask = places - 1;
    this.#keys = new Uint32Array(places);
    this.#peers = new Array(places).fill(undefined);
    this.#keypairs = new Array(places).fill(undefined);
  }

  get size(): number {
    return this.#size;
  }

  /** The place of an index, or -1; valid until the next `insert` or `remove`. */
  find(index: number): number {
    const keys = this.#keys;
    let at = index & this.#mask;
    if (index === 0) return -1;
    for (;;) {
      const key = keys[at]!;
      if (key === index) return at;
      if (key === 0) return -1;
      at = (at + 1) & this.#mask;
    }
  }

  peerAt(place: number): Peer | undefined {
    return this.#peers[place];
  }

  /** Undefined while the index names a pending handshake. */
  keypairAt(place: number): Keypair | undefined {
    return this.#keypairs[place];
  }

  /** Registers an index that is free, or changes what a registered one names. */
  insert(index: number, peer: Peer, keypair: Keypair | undefined): void {
    let at = index & this.#mask;
    while (this.#keys[at] !== 0 && this.#keys[at] !== index) at = (at + 1) & this.#mask;
    if (this.#keys[at] === 0) this.#size++;
    if (index === 0 || this.#size > this.#keys.length / 2) throw new Error('index table overflow');
    this.#keys[at] = index;
    this.#peers[at] = peer;
    this.#keypairs[at] = keypair;
  }

  /** Frees an index; one that is not registered is ignored. */
  remove(index: number): void {
    let hole = this.find(index);
    if (hole < 0) return;
    this.#size--;
    // Close the gap, so that probing needs no tombstones.
    for (let at = (hole + 1) & this.#mask; this.#keys[at] !== 0; at = (at + 1) & this.#mask) {
      const home = this.#keys[at]! & this.#mask;
      if (((at - home) & this.#mask) >= ((at - hole) & this.#mask)) {
        this.#keys[hole] = this.#keys[at]!;
        this.#peers[hole] = this.#peers[at];
        this.#keypairs[hole] = this.#keypairs[at];
        hole = at;
      }
    }
    this.#keys[hole] = 0;
    this.#peers[hole] = undefined;
    this.#keypairs[hole] = undefined;
  }
}
