/**
 * The functions that the whitepaper's formulas are written in (§ 5.4): Hash, Mac, Hmac, Kdf_n, Aead,
 * Xaead and DH. BLAKE2s, ChaCha20-Poly1305 and XChaCha20-Poly1305 are noble's in every mode; DH comes
 * from the caller, because it is by far the most expensive one.
 */
import { chacha20poly1305, xchacha20poly1305 } from '@noble/ciphers/chacha.js';
import { blake2s } from '@noble/hashes/blake2.js';
import { hmac as nobleHmac } from '@noble/hashes/hmac.js';
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

/** Hash(a ‖ b) */
export function hash(a: Uint8Array, b?: Uint8Array): Uint8Array {
  const state = blake2s.create({ dkLen: HASH_SIZE }).update(a);
  return (b === undefined ? state : state.update(b)).digest();
}

/** Mac(key, input): keyed BLAKE2s with 16 bytes of output. */
export function mac(key: Uint8Array, input: Uint8Array): Uint8Array {
  return blake2s(input, { key, dkLen: 16 });
}

/** Hmac(key, a ‖ b) */
export function hmac(key: Uint8Array, a: Uint8Array, b?: Uint8Array): Uint8Array {
  const state = nobleHmac.create(blake2s, key).update(a);
  return (b === undefined ? state : state.update(b)).digest();
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
