/**
 * The functions that the whitepaper's formulas are written in (§ 5.4): Hash, Mac, Hmac, Kdf_n, Aead,
 * Xaead and DH. BLAKE2s, ChaCha20-Poly1305 and XChaCha20-Poly1305 are noble's in every mode; DH comes
 * from the caller, because it is by far the most expensive one.
 */
import { chacha20poly1305, xchacha20poly1305 } from '@noble/ciphers/chacha.js';
import { blake2s } from '@noble/hashes/blake2.js';
import { wipe } from '../bytes.ts';

export const HASH_SIZE = 32;
export const TAG_SIZE = 16;

/** Curve25519 Diffie-Hellman (RFC 7748) as the caller provides it. */
export interface Curve {
  /**
   * out := DH(scalar, point), 32 bytes each; clamps the scalar. False when the result is all zero
   * (a point of low order), which must be refused.
   */
  x25519(out: Uint8Array, scalar: Uint8Array, point: Uint8Array): boolean;
  /** out := the public key of `scalar`. */
  x25519Base(out: Uint8Array, scalar: Uint8Array): void;
}

/**
 * Room for what is hashed: an HMAC's padded key and its input, or both parts of a MixHash, the
 * longest of which is a message's 48 encrypted bytes. noble hashes one piece a third faster than the
 * same bytes in several, and a handshake is some fifty hashes.
 */
const BLOCK_SIZE = 64;
const inner = new Uint8Array(BLOCK_SIZE + 2 * BLOCK_SIZE);
const outer = new Uint8Array(BLOCK_SIZE + HASH_SIZE);

/** Hash(a ‖ b) */
export function hash(a: Uint8Array, b?: Uint8Array): Uint8Array {
  if (b === undefined) return blake2s(a);
  const size = a.length + b.length;
  const joined = size <= inner.length ? inner.subarray(0, size) : new Uint8Array(size);
  joined.set(a);
  joined.set(b, a.length);
  return blake2s(joined);
}

/** Mac(key, input): keyed BLAKE2s with 16 bytes of output. */
export function mac(key: Uint8Array, input: Uint8Array): Uint8Array {
  return blake2s(input, { key, dkLen: 16 });
}

const NOTHING = new Uint8Array(0);

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

const ONE = Uint8Array.of(1);
const TWO = Uint8Array.of(2);
const THREE = Uint8Array.of(3);

/** τ1 := Kdf1(key, input) */
export function kdf1(key: Uint8Array, input: Uint8Array): Uint8Array {
  // τ0 := Hmac(key, input), τ1 := Hmac(τ0, 0x1)
  const t0 = hmac(key, input);
  const t1 = hmac(t0, ONE);
  wipe(t0);
  return t1;
}

/** (τ1, τ2) := Kdf2(key, input) */
export function kdf2(key: Uint8Array, input: Uint8Array): [Uint8Array, Uint8Array] {
  // τ_i := Hmac(τ0, τ_i-1 ‖ i)
  const t0 = hmac(key, input);
  const t1 = hmac(t0, ONE);
  const t2 = hmac(t0, t1, TWO);
  wipe(t0);
  return [t1, t2];
}

/** (τ1, τ2, τ3) := Kdf3(key, input) */
export function kdf3(key: Uint8Array, input: Uint8Array): [Uint8Array, Uint8Array, Uint8Array] {
  const t0 = hmac(key, input);
  const t1 = hmac(t0, ONE);
  const t2 = hmac(t0, t1, TWO);
  const t3 = hmac(t0, t2, THREE);
  wipe(t0);
  return [t1, t2, t3];
}

/** Every key of the handshake seals once, with counter 0. */
const NONCE = new Uint8Array(12);

/** Aead(key, 0, plaintext, authenticated) */
export function aeadSeal(
  key: Uint8Array,
  plaintext: Uint8Array,
  authenticated: Uint8Array,
): Uint8Array {
  return chacha20poly1305(key, NONCE, authenticated).encrypt(plaintext);
}

/** The plaintext of Aead(key, 0, …), or undefined if it does not authenticate. */
export function aeadOpen(
  key: Uint8Array,
  ciphertext: Uint8Array,
  authenticated: Uint8Array,
): Uint8Array | undefined {
  if (ciphertext.length < TAG_SIZE) return undefined;
  try {
    return chacha20poly1305(key, NONCE, authenticated).decrypt(ciphertext);
  } catch {
    return undefined;
  }
}

/** Xaead(key, nonce, plaintext, authenticated), a random nonce of 24 bytes */
export function xaeadSeal(
  key: Uint8Array,
  nonce: Uint8Array,
  plaintext: Uint8Array,
  authenticated: Uint8Array,
): Uint8Array {
  return xchacha20poly1305(key, nonce, authenticated).encrypt(plaintext);
}

/** The plaintext of Xaead(key, nonce, …), or undefined if it does not authenticate. */
export function xaeadOpen(
  key: Uint8Array,
  nonce: Uint8Array,
  ciphertext: Uint8Array,
  authenticated: Uint8Array,
): Uint8Array | undefined {
  if (ciphertext.length < TAG_SIZE) return undefined;
  try {
    return xchacha20poly1305(key, nonce, authenticated).decrypt(ciphertext);
  } catch {
    return undefined;
  }
}
