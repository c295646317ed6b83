/**
 * Secrets that the edge gives out: join secrets, credentials of replicas, API tokens. The registry
 * keeps SHA-256 of them. They are random and at least 128 bits long, so nothing slower is needed.
 */
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, equalBytes, hexToBytes } from '../bytes.ts';
import { bytesToBase64Url } from './base64url.ts';

/** Random bytes in a secret. */
export const SECRET_SIZE = 24;

/** What the registry keeps of a secret's text. */
export function hashSecret(secret: string): string {
  return bytesToHex(sha256(new TextEncoder().encode(secret)));
}

/** Whether the text is the secret that was hashed; in constant time for any texts. */
export function isSecret(secret: string, hash: string): boolean {
  const expected = hexToBytes(hash);
  return expected !== undefined && equalBytes(hexToBytes(hashSecret(secret))!, expected);
}

/** A join secret says which of the connector's secrets it is: `3.kBg…`. */
export function joinSecretText(version: number, random: Uint8Array): string {
  if (random.length !== SECRET_SIZE) throw new RangeError(`a secret is ${SECRET_SIZE} bytes long`);
  return `${version}.${bytesToBase64Url(random)}`;
}

/** The version that a join secret's text says, or undefined if it is none. */
export function joinSecretVersion(secret: string): number | undefined {
  const match = /^([1-9][0-9]{0,9})\.[A-Za-z0-9_-]{32}$/.exec(secret);
  return match === null ? undefined : Number(match[1]);
}
