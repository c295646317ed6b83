/**
 * Secrets that the edge knows others by: join secrets, credentials of replicas, API tokens. The registry
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

/** `cwt_…` is an API token of an operator, `cwr_…` the credential of a replica. */
const BEARER_FORM = /^(cwt|cwr)_[A-Za-z0-9_-]{43}$/;
const BEARER_MARKS = { token: 'cwt', replica: 'cwr' } as const;
export type BearerKind = keyof typeof BEARER_MARKS;
/** Random bytes in a bearer secret. */
export const BEARER_SIZE = 32;

/** A bearer secret's text: `cwr_` and the random bytes in base64url. */
export function bearerText(kind: BearerKind, random: Uint8Array): string {
  if (random.length !== BEARER_SIZE) throw new RangeError(`a bearer is ${BEARER_SIZE} bytes long`);
  return `${BEARER_MARKS[kind]}_${bytesToBase64Url(random)}`;
}

/** Undefined if the text is neither kind of secret. */
export function bearerKind(text: string): BearerKind | undefined {
  const mark = BEARER_FORM.exec(text)?.[1];
  if (mark === undefined) return undefined;
  return mark === BEARER_MARKS.token ? 'token' : 'replica';
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
