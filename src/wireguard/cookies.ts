/**
 * Denial-of-service mitigation by mac1, mac2 and cookies (whitepaper § 5.3, 5.4.4, 5.4.7).
 *
 * A source is {address, port, scope, relay id}: through a relay many peers share an address.
 */
import { equalBytes, wipe } from '../bytes.ts';
import type { Symmetric } from '../primitives.ts';
import { ENDPOINT_RECORD_WORDS } from '../vector.ts';
import { type CookieReply, encodeCookieReply, MAC_SIZE, readU32 } from './messages.ts';
import { xaeadOpen, xaeadSeal } from './xaead.ts';

const text = new TextEncoder();
const LABEL_MAC1 = text.encode('mac1----');
const LABEL_COOKIE = text.encode('cookie--');

/** Milliseconds after which the cookie secret changes and a received cookie is used no more. */
export const COOKIE_REFRESH_TIME = 120_000;

/** Words 0 to 5 of the endpoint record and the relay id in word 11. */
const SOURCE_SIZE = 28;

/** Our side: verifies the macs of messages sent to us, and answers with cookies. */
export class CookieChecker {
  readonly #random: (into: Uint8Array) => void;
  readonly #by: Symmetric;
  readonly #secret = new Uint8Array(32);
  #secretSet = Number.NEGATIVE_INFINITY;
  /** Hash(Label-Mac1 ‖ S_m_pub) */
  readonly #mac1Key: Uint8Array;
  /** Hash(Label-Cookie ‖ S_m_pub) */
  readonly #cookieKey: Uint8Array;
  readonly #source = new Uint8Array(SOURCE_SIZE);
  readonly #sourceWords = new Int32Array(this.#source.buffer);

  constructor(publicKey: Uint8Array, random: (into: Uint8Array) => void, by: Symmetric) {
    this.#random = random;
    this.#by = by;
    this.#mac1Key = by.hash(LABEL_MAC1, publicKey);
    this.#cookieKey = by.hash(LABEL_COOKIE, publicKey);
  }

  /** `message`: an initiation or a response with its relay id cleared. */
  checkMac1(message: Uint8Array): boolean {
    // msg.mac1 := Mac(Hash(Label-Mac1 ‖ S_m'_pub), msg_α)
    const at = message.length - 2 * MAC_SIZE;
    return equalBytes(
      this.#by.mac(this.#mac1Key, message.subarray(0, at)),
      message.subarray(at, at + MAC_SIZE),
    );
  }

  /** Whether mac2 was made with the cookie that this source was given; record `source` of `words`. */
  checkMac2(message: Uint8Array, words: Int32Array, source: number, now: number): boolean {
    if (now - this.#secretSet > COOKIE_REFRESH_TIME) return false;
    // msg.mac2 := Mac(L_m, msg_β)
    const at = message.length - MAC_SIZE;
    const cookie = this.#cookie(words, source);
    const fine = equalBytes(this.#by.mac(cookie, message.subarray(0, at)), message.subarray(at));
    wipe(cookie);
    return fine;
  }

  /** The answer to a message with a valid mac1: 64 bytes, shorter than any such message. */
  createReply(message: Uint8Array, words: Int32Array, source: number, now: number): Uint8Array {
    if (now - this.#secretSet > COOKIE_REFRESH_TIME) {
      // R_m changes every two minutes
      this.#random(this.#secret);
      this.#secretSet = now;
    }
    const at = message.length - 2 * MAC_SIZE;
    const cookie = this.#cookie(words, source);
    const nonce = new Uint8Array(24);
    this.#random(nonce);
    // msg.cookie := Xaead(Hash(Label-Cookie ‖ S_m_pub), msg.nonce, τ, M), M the mac1 answered
    const encryptedCookie = xaeadSeal(
      this.#cookieKey,
      nonce,
      cookie,
      message.subarray(at, at + MAC_SIZE),
    );
    wipe(cookie);
    return encodeCookieReply({ receiver: readU32(message, 4), nonce, encryptedCookie });
  }

  /** τ := Mac(R_m, A_m'), A the source */
  #cookie(words: Int32Array, source: number): Uint8Array {
    const base = source * ENDPOINT_RECORD_WORDS;
    for (let i = 0; i < 6; i++) this.#sourceWords[i] = words[base + i]!;
    this.#sourceWords[6] = words[base + 11]!;
    return this.#by.mac(this.#secret, this.#source);
  }
}

/** The other side: puts macs on messages to one peer, and keeps the cookie that it gave us. */
export class CookieGenerator {
  readonly #by: Symmetric;
  readonly #mac1Key: Uint8Array;
  readonly #cookieKey: Uint8Array;
  readonly #cookie = new Uint8Array(MAC_SIZE);
  #cookieSet = Number.NEGATIVE_INFINITY;
  readonly #lastMac1 = new Uint8Array(MAC_SIZE);
  /** A message was sent and no cookie came for it yet. */
  #waiting = false;

  constructor(peerPublicKey: Uint8Array, by: Symmetric) {
    this.#by = by;
    this.#mac1Key = by.hash(LABEL_MAC1, peerPublicKey);
    this.#cookieKey = by.hash(LABEL_COOKIE, peerPublicKey);
  }

  /** Fills mac1, and mac2 if there is a cookie; the relay id must still be zero. */
  addMacs(message: Uint8Array, now: number): void {
    const at = message.length - 2 * MAC_SIZE;
    const mac1 = this.#by.mac(this.#mac1Key, message.subarray(0, at));
    message.set(mac1, at);
    this.#lastMac1.set(mac1);
    this.#waiting = true;
    if (now - this.#cookieSet > COOKIE_REFRESH_TIME) {
      message.fill(0, at + MAC_SIZE);
    } else {
      message.set(this.#by.mac(this.#cookie, message.subarray(0, at + MAC_SIZE)), at + MAC_SIZE);
    }
  }

  /** False unless the reply is authentic and answers the last message sent; one reply counts. */
  consumeReply(reply: CookieReply, now: number): boolean {
    if (!this.#waiting) return false;
    const cookie = xaeadOpen(this.#cookieKey, reply.nonce, reply.encryptedCookie, this.#lastMac1);
    if (cookie === undefined) return false;
    this.#cookie.set(cookie);
    this.#cookieSet = now;
    this.#waiting = false;
    wipe(cookie);
    return true;
  }

  clear(): void {
    wipe(this.#cookie, this.#lastMac1);
    this.#cookieSet = Number.NEGATIVE_INFINITY;
    this.#waiting = false;
  }
}
