/** Xaead of the whitepaper (§ 5.4.7): XChaCha20-Poly1305, by noble. OpenSSL has none. */
import { xchacha20poly1305 } from '@noble/ciphers/chacha.js';
import { TAG_SIZE } from '../primitives.ts';

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
