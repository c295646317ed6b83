/** The handshake's functions in pure TypeScript, by noble: the reference, and always there. */
import { chacha20poly1305 } from '@noble/ciphers/chacha.js';
import { x25519 } from '@noble/curves/ed25519.js';
import { blake2s } from '@noble/hashes/blake2.js';
import { isZero, wipe } from '../bytes.ts';
import { HASH_SIZE, type Primitives, TAG_SIZE } from '../primitives.ts';

/**
 * Room for what is hashed: an HMAC's padded key and its input, or both parts of a MixHash, the
 * longest of which is a message's 48 encrypted bytes. noble hashes one piece a third faster than the
 * same bytes in several, and a handshake is some fifty hashes.
 */
const BLOCK_SIZE = 64;
const inner = new Uint8Array(BLOCK_SIZE + 2 * BLOCK_SIZE);
const outer = new Uint8Array(BLOCK_SIZE + HASH_SIZE);
const NOTHING = new Uint8Array(0);
const ONE = Uint8Array.of(1);
const TWO = Uint8Array.of(2);
const THREE = Uint8Array.of(3);
/** Every key of the handshake seals once, with counter 0. */
const NONCE = new Uint8Array(12);

/** Hmac(key, a ‖ b) (RFC 2104); the key is 32 bytes, a and b together 128 at the most. */
export function hmac(key: Uint8Array, a: Uint8Array, b: Uint8Array = NOTHING): Uint8Array {
  inner.fill(0x36, 0, BLOCK_SIZE);
  outer.fill(0x5c, 0, BLOCK_SIZE);
  for (let i = 0; i < HASH_SIZE; i++) {
    inner[i] = key[i]! ^ 0x36;
    outer[i] = key[i]! ^ 0x5c;
  }
  inner.set(a, BLOCK_SIZE);
  inner.set(b, BLOCK_SIZE + a.length);
  outer.set(blake2s(inner.subarray(0, BLOCK_SIZE + a.length + b.length)), BLOCK_SIZE);
  const result = blake2s(outer);
  wipe(inner, outer);
  return result;
}

export const noblePrimitives: Primitives = {
  x25519(out, scalar, point) {
    let shared: Uint8Array;
    try {
      shared = x25519.getSharedSecret(scalar, point);
    } catch {
      // noble throws when the result is all zero.
      out.fill(0);
      return false;
    }
    out.set(shared);
    shared.fill(0);
    return !isZero(out);
  },

  // By a table of the base point that noble makes at the first call, in 90 ms: a third of the time of
  // the ladder afterwards.
  x25519Base(out, scalar) {
    out.set(x25519.getPublicKey(scalar));
  },

  hash(a, b) {
    if (b === undefined) return blake2s(a);
    const size = a.length + b.length;
    const joined = size <= inner.length ? inner.subarray(0, size) : new Uint8Array(size);
    joined.set(a);
    joined.set(b, a.length);
    return blake2s(joined);
  },

  mac(key, input) {
    return blake2s(input, { key, dkLen: 16 });
  },

  kdf1(key, input) {
    // τ0 := Hmac(key, input), τ1 := Hmac(τ0, 0x1)
    const t0 = hmac(key, input);
    const t1 = hmac(t0, ONE);
    wipe(t0);
    return t1;
  },

  kdf2(key, input) {
    // τ_i := Hmac(τ0, τ_i-1 ‖ i)
    const t0 = hmac(key, input);
    const t1 = hmac(t0, ONE);
    const t2 = hmac(t0, t1, TWO);
    wipe(t0);
    return [t1, t2];
  },

  kdf3(key, input) {
    const t0 = hmac(key, input);
    const t1 = hmac(t0, ONE);
    const t2 = hmac(t0, t1, TWO);
    const t3 = hmac(t0, t2, THREE);
    wipe(t0);
    return [t1, t2, t3];
  },

  seal(key, plaintext, authenticated) {
    return chacha20poly1305(key, NONCE, authenticated).encrypt(plaintext);
  },

  open(key, ciphertext, authenticated) {
    if (ciphertext.length < TAG_SIZE) return undefined;
    try {
      return chacha20poly1305(key, NONCE, authenticated).decrypt(ciphertext);
    } catch {
      return undefined;
    }
  },
};
