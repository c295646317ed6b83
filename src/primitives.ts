/**
 * The functions that the whitepaper's formulas are written in (§ 5.4): DH, Hash, Mac, Kdf_n and Aead.
 * The caller chooses whose they are: noble's, the reference, or OpenSSL's. Xaead, which only cookies
 * need, is always noble's (xaead.ts).
 */

export const HASH_SIZE = 32;
export const TAG_SIZE = 16;

/** Curve25519 Diffie-Hellman (RFC 7748). */
export interface Curve {
  /**
   * out := DH(scalar, point), 32 bytes each; clamps the scalar. False when the result is all zero
   * (a point of low order), which must be refused.
   */
  x25519(out: Uint8Array, scalar: Uint8Array, point: Uint8Array): boolean;
  /** out := the public key of `scalar`. */
  x25519Base(out: Uint8Array, scalar: Uint8Array): void;
}

/** BLAKE2s and ChaCha20-Poly1305 as the handshake uses them. Keys are 32 bytes, results are new. */
export interface Symmetric {
  /** Hash(a ‖ b), 32 bytes; together at most 288 bytes. */
  hash(a: Uint8Array, b?: Uint8Array): Uint8Array;
  /** Mac(key, input), 16 bytes: keyed BLAKE2s; at most 288 bytes. */
  mac(key: Uint8Array, input: Uint8Array): Uint8Array;
  /** τ1 := Kdf1(key, input), 32 bytes; at most 64 bytes. */
  kdf1(key: Uint8Array, input: Uint8Array): Uint8Array;
  /** (τ1, τ2) := Kdf2(key, input) */
  kdf2(key: Uint8Array, input: Uint8Array): [Uint8Array, Uint8Array];
  /** (τ1, τ2, τ3) := Kdf3(key, input) */
  kdf3(key: Uint8Array, input: Uint8Array): [Uint8Array, Uint8Array, Uint8Array];
  /** Aead(key, 0, plaintext, authenticated); at most 32 bytes each. */
  seal(key: Uint8Array, plaintext: Uint8Array, authenticated: Uint8Array): Uint8Array;
  /** The plaintext of Aead(key, 0, …), or undefined if it does not authenticate. */
  open(key: Uint8Array, ciphertext: Uint8Array, authenticated: Uint8Array): Uint8Array | undefined;
}

export interface Primitives extends Curve, Symmetric {}
