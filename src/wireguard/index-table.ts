/**
 * Our session indexes: random 32-bit numbers that name a keypair or a pending handshake of a peer in
 * messages sent to us (whitepaper § 5.4.2, "sender" and "receiver").
 *
 * Open addressing with linear probing over plain memory; a lookup allocates nothing. The indexes are
 * random already, so their low bits are the hash. Index 0 is never given out and marks free places.
 */
import type { Keypair } from './keypair.ts';
import type { Peer } from './peer.ts';

/** Places to begin with, a power of two. */
const FIRST_PLACES = 64;

export class IndexTable {
  #keys = new Uint32Array(FIRST_PLACES);
  #peers: (Peer | undefined)[] = new Array(FIRST_PLACES).fill(undefined);
  #keypairs: (Keypair | undefined)[] = new Array(FIRST_PLACES).fill(undefined);
  #mask = FIRST_PLACES - 1;
  #size = 0;
  readonly #capacity: number;

  /** `capacity`: indexes in use at most. The table is at most half full, and grows up to that. */
  constructor(capacity: number) {
    this.#capacity = capacity;
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
    if (this.find(index) < 0) {
      if (index === 0 || this.#size === this.#capacity) throw new Error('index table overflow');
      this.#size++;
      if (this.#size * 2 > this.#keys.length) this.#grow();
    }
    this.#put(index, peer, keypair);
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

  #put(index: number, peer: Peer | undefined, keypair: Keypair | undefined): void {
    let at = index & this.#mask;
    while (this.#keys[at] !== 0 && this.#keys[at] !== index) at = (at + 1) & this.#mask;
    this.#keys[at] = index;
    this.#peers[at] = peer;
    this.#keypairs[at] = keypair;
  }

  #grow(): void {
    const keys = this.#keys;
    const peers = this.#peers;
    const keypairs = this.#keypairs;
    const places = keys.length * 2;
    this.#keys = new Uint32Array(places);
    this.#peers = new Array(places).fill(undefined);
    this.#keypairs = new Array(places).fill(undefined);
    this.#mask = places - 1;
    for (let at = 0; at < keys.length; at++) {
      if (keys[at] !== 0) this.#put(keys[at]!, peers[at], keypairs[at]);
    }
  }
}
