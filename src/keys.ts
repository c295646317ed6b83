/**
 * WireGuard keys: 32 bytes each, branded by what they are, redacting themselves when printed.
 */
import { base64ToBytes, bytesToBase64, bytesToHex, hexToBytes } from './bytes.ts';

export const KEY_SIZE = 32;

declare const brand: unique symbol;
export type PublicKey = Uint8Array & { readonly [brand]: 'PublicKey' };
export type PrivateKey = Uint8Array & { readonly [brand]: 'PrivateKey' };
export type PresharedKey = Uint8Array & { readonly [brand]: 'PresharedKey' };

const INSPECT = Symbol.for('nodejs.util.inspect.custom');
const redacted = (): string => '[secret key]';

function checked(bytes: Uint8Array): Uint8Array {
  if (bytes.length !== KEY_SIZE) {
    throw new RangeError(`a key is ${KEY_SIZE} bytes long, this one is ${bytes.length}`);
  }
  return bytes.slice();
}

/** Makes a secret print as `[secret key]` in logs, templates, JSON and console output. */
function secret(bytes: Uint8Array): Uint8Array {
  const copy = checked(bytes);
  for (const name of ['toString', 'toJSON', INSPECT]) {
    Object.defineProperty(copy, name, { value: redacted });
  }
  return copy;
}

export function publicKey(bytes: Uint8Array): PublicKey {
  return checked(bytes) as PublicKey;
}

export function privateKey(bytes: Uint8Array): PrivateKey {
  return secret(bytes) as PrivateKey;
}

export function presharedKey(bytes: Uint8Array): PresharedKey {
  return secret(bytes) as PresharedKey;
}

/** Curve25519 clamping, as `wg genkey` does it (RFC 7748 § 5). */
export function clamp(key: Uint8Array): void {
  key[0] = key[0]! & 248;
  key[31] = (key[31]! & 127) | 64;
}

/** 44 characters of base64, as in configuration files; undefined if it is no key. */
export function keyFromBase64(text: string): Uint8Array | undefined {
  if (!/^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$/.test(text)) return undefined;
  return base64ToBytes(text);
}

/** 64 hexadecimal digits, as in the UAPI; undefined if it is no key. */
export function keyFromHex(text: string): Uint8Array | undefined {
  return text.length === KEY_SIZE * 2 ? hexToBytes(text) : undefined;
}

export function keyToBase64(key: Uint8Array): string {
  return bytesToBase64(key);
}

export function keyToHex(key: Uint8Array): string {
  return bytesToHex(key);
}
