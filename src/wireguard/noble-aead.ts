/**
 * ChaCha20-Poly1305 over vectors in pure TypeScript, by noble (whitepaper § 5.4.6, RFC 8439): the
 * reference that is always there. In place; the buffers of nonce and keys are reused.
 */
import { chacha20poly1305 } from '@noble/ciphers/chacha.js';
import { wipe } from '../bytes.ts';
import {
  type InboundVector,
  MESSAGE_HEADER_SIZE,
  MESSAGE_OVERHEAD,
  OPEN_FAILED,
  type OutboundVector,
  type VectorAead,
} from '../vector.ts';
import { readCounter, writeCounter, writeU32 } from './messages.ts';

export class NobleAead implements VectorAead {
  readonly name = 'noble';
  readonly capacity: number;
  readonly #sealing: (Uint8Array | undefined)[];
  readonly #opening: (Uint8Array | undefined)[];
  readonly #nonce = new Uint8Array(12);

  constructor(capacity: number) {
    this.capacity = capacity;
    this.#sealing = new Array(capacity).fill(undefined);
    this.#opening = new Array(capacity).fill(undefined);
  }

  setKeys(slot: number, sealing: Uint8Array, opening: Uint8Array): void {
    if (!(slot >= 0 && slot < this.capacity)) throw new RangeError(`no key slot ${slot}`);
    this.clearKeys(slot);
    this.#sealing[slot] = sealing.slice();
    this.#opening[slot] = opening.slice();
  }

  clearKeys(slot: number): void {
    const sealing = this.#sealing[slot];
    const opening = this.#opening[slot];
    if (sealing !== undefined) wipe(sealing);
    if (opening !== undefined) wipe(opening);
    this.#sealing[slot] = undefined;
    this.#opening[slot] = undefined;
  }

  sealVector(v: OutboundVector): void {
    for (let i = 0; i < v.length; i++) {
      const slot = v.slot[i]!;
      if (slot < 0) continue;
      const key = this.#sealing[slot];
      if (key === undefined) throw new Error(`no keys in slot ${slot}`);
      const count = v.count[i]!;
      const stride = v.stride[i]!;
      for (let k = 0; k < count; k++) {
        const offset = v.offset[i]! + k * stride;
        const size = k < count - 1 ? stride : v.lastSize[i]!;
        writeU32(v.arena, offset, v.head[i]!);
        writeU32(v.arena, offset + 4, v.receiver[i]!);
        writeCounter(v.arena, offset + 8, v.counter[i]! + k);
        this.#seal(key, v.arena, offset, size);
      }
    }
  }

  openVector(v: InboundVector): void {
    for (let i = 0; i < v.length; i++) {
      const slot = v.slot[i]!;
      if (slot < 0) continue;
      const key = this.#opening[slot];
      if (key === undefined) throw new Error(`no keys in slot ${slot}`);
      const count = v.count[i]!;
      const stride = v.stride[i]!;
      for (let k = 0; k < count; k++) {
        const offset = v.offset[i]! + k * stride;
        const size = k < count - 1 ? stride : v.lastSize[i]!;
        const at = v.first[i]! + k;
        v.counter[at] = readCounter(v.arena, offset + 8);
        v.plain[at] = this.#open(key, v.arena, offset, size);
      }
    }
  }

  #seal(key: Uint8Array, arena: Uint8Array, offset: number, size: number): void {
    this.#nonce.set(arena.subarray(offset + 8, offset + 16), 4);
    const start = offset + MESSAGE_HEADER_SIZE;
    chacha20poly1305(key, this.#nonce).encrypt(
      arena.subarray(start, offset + size - 16),
      arena.subarray(start, offset + size),
    );
  }

  #open(key: Uint8Array, arena: Uint8Array, offset: number, size: number): number {
    if (size < MESSAGE_OVERHEAD) return OPEN_FAILED;
    this.#nonce.set(arena.subarray(offset + 8, offset + 16), 4);
    const start = offset + MESSAGE_HEADER_SIZE;
    try {
      chacha20poly1305(key, this.#nonce).decrypt(
        arena.subarray(start, offset + size),
        arena.subarray(start, offset + size - 16),
      );
    } catch {
      return OPEN_FAILED;
    }
    return size - MESSAGE_OVERHEAD;
  }
}
