/**
 * The four messages of WireGuard protocol version 1 (whitepaper § 5.4.2, 5.4.3, 5.4.6, 5.4.7).
 *
 * All integers are little-endian. The three reserved bytes behind the type carry a relay id between
 * our own nodes and zero otherwise: they are cleared before anything is verified and stamped after
 * everything is computed, so that mac1, mac2 and the AEADs see zeros.
 */

export const TYPE_INITIATION = 1;
export const TYPE_RESPONSE = 2;
export const TYPE_COOKIE_REPLY = 3;
export const TYPE_TRANSPORT = 4;

/** Plaintext is padded to multiples of this (§ 5.4.6). */
export const PADDING = 16;

export const INITIATION_SIZE = 148;
export const RESPONSE_SIZE = 92;
export const COOKIE_REPLY_SIZE = 64;
/** Transport data without content: header and tag. The shortest message there is. */
export const KEEPALIVE_SIZE = 32;

export const MAC_SIZE = 16;

/** Largest relay id: 24 bits. */
export const MAX_RELAY_ID = 0xff_ffff;

/** Fields are views into the message they were decoded from. */
export interface Initiation {
  readonly sender: number;
  /** 32 bytes, unencrypted_ephemeral. */
  readonly ephemeral: Uint8Array;
  /** 48 bytes, encrypted_static. */
  readonly encryptedStatic: Uint8Array;
  /** 28 bytes, encrypted_timestamp. */
  readonly encryptedTimestamp: Uint8Array;
}

export interface Response {
  readonly sender: number;
  readonly receiver: number;
  /** 32 bytes, unencrypted_ephemeral. */
  readonly ephemeral: Uint8Array;
  /** 16 bytes, encrypted_nothing. */
  readonly encryptedNothing: Uint8Array;
}

export interface CookieReply {
  readonly receiver: number;
  /** 24 bytes. */
  readonly nonce: Uint8Array;
  /** 32 bytes, encrypted_cookie. */
  readonly encryptedCookie: Uint8Array;
}

export interface TransportData {
  readonly receiver: number;
  /** Values above 2^53 read as Infinity. */
  readonly counter: number;
  /** Ciphertext and tag, ≥ 16 bytes. */
  readonly encryptedPacket: Uint8Array;
}

export function readU32(bytes: Uint8Array, at: number): number {
  const word = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
  return word >>> 0;
}

export function writeU32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
  bytes[at + 2] = value >>> 16;
  bytes[at + 3] = value >>> 24;
}

/** The counter at `at`; values above 2^53 read as Infinity. */
export function readCounter(bytes: Uint8Array, at: number): number {
  const high = readU32(bytes, at + 4);
  return high >= 0x20_0000 ? Number.POSITIVE_INFINITY : high * 0x1_0000_0000 + readU32(bytes, at);
}

/** Writes a counter below 2^53. */
export function writeCounter(bytes: Uint8Array, at: number, counter: number): void {
  writeU32(bytes, at, counter % 0x1_0000_0000);
  writeU32(bytes, at + 4, Math.floor(counter / 0x1_0000_0000));
}

/** The relay id in the reserved bytes. */
export function relayIdOf(message: Uint8Array): number {
  return message[1]! | (message[2]! << 8) | (message[3]! << 16);
}

/** The last thing done to a message before it is sent. */
export function stampRelayId(message: Uint8Array, relayId: number): void {
  message[1] = relayId;
  message[2] = relayId >>> 8;
  message[3] = relayId >>> 16;
}

/** The first thing done to a message that is to be verified. */
export function clearRelayId(message: Uint8Array): void {
  message[1] = 0;
  message[2] = 0;
  message[3] = 0;
}

/** Exact length of a handshake message or cookie reply by its type; 0 for any other type. */
export function handshakeMessageSize(type: number): number {
  if (type === TYPE_INITIATION) return INITIATION_SIZE;
  if (type === TYPE_RESPONSE) return RESPONSE_SIZE;
  return type === TYPE_COOKIE_REPLY ? COOKIE_REPLY_SIZE : 0;
}

function isMessage(bytes: Uint8Array, type: number): boolean {
  return bytes.length === handshakeMessageSize(type) && readU32(bytes, 0) === type;
}

/** Undefined unless the bytes are an initiation's type, zero reserved bytes and length. */
export function decodeInitiation(bytes: Uint8Array): Initiation | undefined {
  if (!isMessage(bytes, TYPE_INITIATION)) return undefined;
  return {
    sender: readU32(bytes, 4),
    ephemeral: bytes.subarray(8, 40),
    encryptedStatic: bytes.subarray(40, 88),
    encryptedTimestamp: bytes.subarray(88, 116),
  };
}

/** A message of 148 bytes with both macs zero. */
export function encodeInitiation(message: Initiation): Uint8Array {
  const bytes = new Uint8Array(INITIATION_SIZE);
  writeU32(bytes, 0, TYPE_INITIATION);
  writeU32(bytes, 4, message.sender);
  bytes.set(message.ephemeral, 8);
  bytes.set(message.encryptedStatic, 40);
  bytes.set(message.encryptedTimestamp, 88);
  return bytes;
}

/** Undefined unless the bytes are a response's type, zero reserved bytes and length. */
export function decodeResponse(bytes: Uint8Array): Response | undefined {
  if (!isMessage(bytes, TYPE_RESPONSE)) return undefined;
  return {
    sender: readU32(bytes, 4),
    receiver: readU32(bytes, 8),
    ephemeral: bytes.subarray(12, 44),
    encryptedNothing: bytes.subarray(44, 60),
  };
}

/** A message of 92 bytes with both macs zero. */
export function encodeResponse(message: Response): Uint8Array {
  const bytes = new Uint8Array(RESPONSE_SIZE);
  writeU32(bytes, 0, TYPE_RESPONSE);
  writeU32(bytes, 4, message.sender);
  writeU32(bytes, 8, message.receiver);
  bytes.set(message.ephemeral, 12);
  bytes.set(message.encryptedNothing, 44);
  return bytes;
}

/** Undefined unless the bytes are a cookie reply's type, zero reserved bytes and length. */
export function decodeCookieReply(bytes: Uint8Array): CookieReply | undefined {
  if (!isMessage(bytes, TYPE_COOKIE_REPLY)) return undefined;
  return {
    receiver: readU32(bytes, 4),
    nonce: bytes.subarray(8, 32),
    encryptedCookie: bytes.subarray(32, 64),
  };
}

/** A message of 64 bytes. */
export function encodeCookieReply(message: CookieReply): Uint8Array {
  const bytes = new Uint8Array(COOKIE_REPLY_SIZE);
  writeU32(bytes, 0, TYPE_COOKIE_REPLY);
  writeU32(bytes, 4, message.receiver);
  bytes.set(message.nonce, 8);
  bytes.set(message.encryptedCookie, 32);
  return bytes;
}

/** Undefined unless the bytes are a transport message's type, zero reserved bytes and length. */
export function decodeTransportData(bytes: Uint8Array): TransportData | undefined {
  if (bytes.length < KEEPALIVE_SIZE || readU32(bytes, 0) !== TYPE_TRANSPORT) return undefined;
  return {
    receiver: readU32(bytes, 4),
    counter: readCounter(bytes, 8),
    encryptedPacket: bytes.subarray(16),
  };
}
