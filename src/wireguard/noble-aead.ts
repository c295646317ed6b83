/**
 * ChaCha20-Poly1305 over vectors in pure TypeScript, by noble (whitepaper § 5.4.6, RFC 8439 § 2.8):
 * the reference that is always there.
 *
 * Put together from noble's stream cipher and authenticator rather than taken as its AEAD, which
 * costs a fifth more: the one-time key and the key stream come out of one pass over a scratch buffer
 * that is aligned for it, `64 (key stream block 0) | message`.
 */
import { poly1305 } from '@noble/ciphers/_poly1305.js';
import { chacha20 } from '@noble/ciphers/chacha.js';
import { equalBytes, wipe } from '../bytes.ts';
import {
  type InboundVector,
  MAX_DATAGRAM_SIZE,
  MESSAGE_HEADER_SIZE,
  MESSAGE_OVERHEAD,
  MESSAGE_TAG_SIZE,
  OPEN_FAILED,
  type OutboundVector,
  type VectorAead,
} from '../vector.ts';
import { readCounter, writeCounter, writeU32 } from './messages.ts';

/** Key stream block 0: its first 32 bytes are the one-time key of Poly1305 (§ 2.6). */
const BLOCK = 64;
const ONE_TIME_KEY = 32;
const ZEROS = new Uint8Array(16);

export class NobleAead implements VectorAead {
  readonly name = 'noble';
  readonly capacity: number;
  readonly #sealing: (Uint8Array | undefined)[] = [];
  readonly #opening: (Uint8Array | undefined)[] = [];
  readonly #nonce = new Uint8Array(12);
  readonly #scratch = new Uint8Array(BLOCK + MAX_DATAGRAM_SIZE);
  readonly #oneTimeKey = this.#scratch.subarray(0, ONE_TIME_KEY);
  readonly #tag = new Uint8Array(MESSAGE_TAG_SIZE);
  /** Length of what is authenticated beside (none) and of the ciphertext, 64 bits each. */
  readonly #lengths = new Uint8Array(16);

  constructor(capacity: number) {
    this.capacity = capacity;
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
    const start = offset + MESSAGE_HEADER_SIZE;
    const end = offset + size - MESSAGE_TAG_SIZE;
    const text = this.#applyKeyStream(key, arena, offset, end);
    arena.set(text, start);
    this.#computeTag(text, arena.subarray(end, end + MESSAGE_TAG_SIZE));
    wipe(this.#oneTimeKey);
  }

  #open(key: Uint8Array, arena: Uint8Array, offset: number, size: number): number {
    if (size < MESSAGE_OVERHEAD || size > MAX_DATAGRAM_SIZE) return OPEN_FAILED;
    const start = offset + MESSAGE_HEADER_SIZE;
    const end = offset + size - MESSAGE_TAG_SIZE;
    const text = this.#applyKeyStream(key, arena, offset, end);
    this.#computeTag(arena.subarray(start, end), this.#tag);
    wipe(this.#oneTimeKey);
    if (!equalBytes(this.#tag, arena.subarray(end, end + MESSAGE_TAG_SIZE))) {
      wipe(text);
      return OPEN_FAILED;
    }
    arena.set(text, start);
    return size - MESSAGE_OVERHEAD;
  }

  /**
   * The content of the message whose header is at `offset`, with the key stream of its counter applied:
   * a view of the scratch buffer. Leaves the one-time key before it.
   */
  #applyKeyStream(key: Uint8Array, arena: Uint8Array, offset: number, end: number): Uint8Array {
    const start = offset + MESSAGE_HEADER_SIZE;
    this.#nonce.set(arena.subarray(offset + 8, start), 4);
    this.#scratch.fill(0, 0, BLOCK);
    this.#scratch.set(arena.subarray(start, end), BLOCK);
    const both = this.#scratch.subarray(0, BLOCK + end - start);
    chacha20(key, this.#nonce, both, both, 0);
    return both.subarray(BLOCK);
  }

  /** § 2.8.1, without additional data: ciphertext, padding to 16, lengths. */
  #computeTag(ciphertext: Uint8Array, tag: Uint8Array): void {
    writeU32(this.#lengths, 8, ciphertext.length);
    const rest = ciphertext.length % 16;
    const state = poly1305.create(this.#oneTimeKey).update(ciphertext);
    if (rest > 0) state.update(ZEROS.subarray(rest));
    state.update(this.#lengths);
    state.digestInto(tag);
    state.destroy();
  }
}
