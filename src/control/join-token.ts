/**
 * The join token: all that a host needs to become a replica of a connector, as one word that survives
 * copying. A checksum tells a damaged token from one that the edge refuses.
 *
 * `cwj1_` then base64url of: flags (1: a TLS pin follows), connector id (16 bytes), the edge's
 * WireGuard public key (32), TLS pin (32, if flagged), number of URLs, then secret and URLs, each
 * with one byte of length before it; then the first four bytes of SHA-256 over all that.
 */
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, equalBytes, hexToBytes } from '../bytes.ts';
import { KEY_SIZE, keyFromBase64, keyToBase64 } from '../keys.ts';
import { base64UrlToBytes, bytesToBase64Url } from './base64url.ts';
import type { Decoded } from './decoded.ts';
import { type ConnectorId, connectorIdSchema, MAX_URLS, urlSchema } from './model.ts';
import { joinSecretVersion } from './secrets.ts';

export const JOIN_TOKEN_PREFIX = 'cwj1_';
/** Longest text that is looked at. */
export const MAX_JOIN_TOKEN_LENGTH = 2_048;

const HAS_PIN = 1;
const ID_SIZE = 16;
const PIN_SIZE = 32;
const CHECKSUM_SIZE = 4;

export interface JoinToken {
  readonly connector: ConnectorId;
  /** To be sent to the edge as it is. */
  readonly secret: string;
  /** `https://HOST[:PORT]`, 1 to MAX_URLS, in order of preference. */
  readonly urls: readonly string[];
  /** SHA-256 of the API certificate's public key (SPKI), hexadecimal; null = as the system trusts. */
  readonly tlsPin: string | null;
  /** The edge's WireGuard public key, base64. */
  readonly edgePublicKey: string;
}

/** The token as text. Its fields must be valid: a RangeError otherwise. */
export function encodeJoinToken(token: JoinToken): string {
  const id = hexToBytes(token.connector.replaceAll('-', ''));
  const key = keyFromBase64(token.edgePublicKey);
  const pin = token.tlsPin === null ? new Uint8Array(0) : hexToBytes(token.tlsPin);
  const urlsFit = token.urls.length >= 1 && token.urls.length <= MAX_URLS;
  if (id?.length !== ID_SIZE || key === undefined || pin === undefined || !urlsFit) {
    throw new RangeError('not a join token');
  }
  const texts = [token.secret, ...token.urls].flatMap((text) => {
    const bytes = new TextEncoder().encode(text);
    if (bytes.length > 255) throw new RangeError('a text of a join token is too long');
    return [bytes.length, ...bytes];
  });
  const flags = pin.length === PIN_SIZE ? HAS_PIN : 0;
  const body = Uint8Array.of(flags, ...id, ...key, ...pin, token.urls.length, ...texts);
  const checksum = sha256(body).subarray(0, CHECKSUM_SIZE);
  return JOIN_TOKEN_PREFIX + bytesToBase64Url(Uint8Array.of(...body, ...checksum));
}

/** Reads a token that somebody pasted; white space around it does not matter. Never throws. */
export function decodeJoinToken(text: string): Decoded<JoinToken> {
  const word = text.length <= MAX_JOIN_TOKEN_LENGTH ? text.trim() : '';
  if (!word.startsWith(JOIN_TOKEN_PREFIX)) {
    return /^cwj[0-9]+_/.test(word)
      ? damaged('This join token was made by another version of Causeway: install that one.')
      : damaged(`This is no join token: one begins with "${JOIN_TOKEN_PREFIX}".`);
  }
  const bytes = base64UrlToBytes(word.slice(JOIN_TOKEN_PREFIX.length));
  if (bytes === undefined || bytes.length <= CHECKSUM_SIZE) return incomplete();
  const body = bytes.subarray(0, -CHECKSUM_SIZE);
  const checksum = sha256(body).subarray(0, CHECKSUM_SIZE);
  if (!equalBytes(checksum, bytes.subarray(-CHECKSUM_SIZE))) return incomplete();
  const token = decodeBody(body);
  return token === undefined ? incomplete() : { ok: true, value: token };
}

function decodeBody(body: Uint8Array): JoinToken | undefined {
  let at = 0;
  const take = (size: number): Uint8Array => {
    at += size;
    return body.subarray(at - size, at);
  };
  const takeText = (): string => new TextDecoder().decode(take(take(1)[0] ?? 0));
  const flags = take(1)[0]!;
  const id = bytesToHex(take(ID_SIZE));
  const key = take(KEY_SIZE);
  const pin = (flags & HAS_PIN) === 0 ? null : bytesToHex(take(PIN_SIZE));
  const urlCount = take(1)[0] ?? 0;
  if (flags > HAS_PIN || urlCount < 1 || urlCount > MAX_URLS) return undefined;
  const secret = takeText();
  const urls = Array.from({ length: urlCount }, takeText);
  const uuid = id.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
  const connector = connectorIdSchema.safeParse(uuid);
  const valid = connector.success && joinSecretVersion(secret) !== undefined;
  // `at` passes the end when something was cut off.
  if (!valid || at !== body.length) return undefined;
  if (!urls.every((url) => urlSchema.safeParse(url).success)) return undefined;
  return {
    connector: connector.data,
    secret,
    urls,
    tlsPin: pin,
    edgePublicKey: keyToBase64(key),
  };
}

function damaged(message: string): Decoded<never> {
  return { ok: false, code: 'JOIN_TOKEN_DAMAGED', message };
}

function incomplete(): Decoded<never> {
  return damaged(
    'The join token is damaged: a part of it is missing or changed. Copy it again, whole.',
  );
}
