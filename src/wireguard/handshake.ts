/**
 * The handshake Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s (whitepaper § 5.4.1 to 5.4.5), as functions
 * over the state of one peer's handshake. The whitepaper's formula stands above each line; `i` is the
 * initiator, `r` the responder.
 *
 * Nothing of a peer's state changes before the message that changes it is authentic.
 */
import { blake2s } from '@noble/hashes/blake2.js';
import { wipe } from '../bytes.ts';
import type { Primitives, Symmetric } from '../primitives.ts';
import {
  decodeInitiation,
  decodeResponse,
  encodeInitiation,
  encodeResponse,
  type Initiation,
} from './messages.ts';

const text = new TextEncoder();
const CONSTRUCTION = text.encode('Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s');
const IDENTIFIER = text.encode('WireGuard v1 zx2c4 Jason@zx2c4.com');
const EMPTY = new Uint8Array(0);

/** C := Hash(Construction) */
const INITIAL_CHAIN = blake2s(CONSTRUCTION);
/** H := Hash(C ‖ Identifier) */
const INITIAL_HASH = blake2s.create().update(INITIAL_CHAIN).update(IDENTIFIER).digest();

export type HandshakeState =
  | 'none'
  | 'initiation-created'
  | 'initiation-consumed'
  | 'response-created'
  | 'response-consumed';

/** A key pair of ours: the static one, S_priv and S_pub. */
export interface Identity {
  readonly privateKey: Uint8Array;
  readonly publicKey: Uint8Array;
}

/** The state of the handshake with one peer. */
export class Handshake {
  state: HandshakeState = 'none';
  /** H */
  hash: Uint8Array = EMPTY;
  /** C */
  chain: Uint8Array = EMPTY;
  /** E_priv, ours, while our initiation waits for its response. */
  ephemeral: Uint8Array = EMPTY;
  /** The initiator's E_pub, while its initiation waits for our response. */
  remoteEphemeral: Uint8Array = EMPTY;
  /** I of ours; 0 = none registered. */
  localIndex = 0;
  /** I of the peer. */
  remoteIndex = 0;

  /** Wipes all secrets; the indexes stay for the caller to unregister. */
  clear(): void {
    wipe(this.hash, this.chain, this.ephemeral, this.remoteEphemeral);
    this.state = 'none';
    this.remoteIndex = 0;
  }
}

/** What reading an initiation has come to before its sender is known. */
export interface OpenedInitiation {
  readonly message: Initiation;
  /** S_pub of the initiator: claimed, and proven only by `verifyInitiation`. */
  readonly remoteStatic: Uint8Array;
  readonly chain: Uint8Array;
  readonly hash: Uint8Array;
}

/** H := Hash(H ‖ input), in place. */
function mixHash(by: Symmetric, state: { hash: Uint8Array }, input: Uint8Array): void {
  const mixed = by.hash(state.hash, input);
  wipe(state.hash);
  state.hash = mixed;
}

/** Replaces the chaining key and wipes the one before. */
function setChain(state: { chain: Uint8Array }, chain: Uint8Array): void {
  wipe(state.chain);
  state.chain = chain;
}

/** C := Kdf1(C, input), in place. */
function mixKey(by: Symmetric, state: { chain: Uint8Array }, input: Uint8Array): void {
  setChain(state, by.kdf1(state.chain, input));
}

/** (C, κ) := Kdf2(C, input), in place; returns κ. */
function mixKeyForCipher(
  by: Symmetric,
  state: { chain: Uint8Array },
  input: Uint8Array,
): Uint8Array {
  const [chain, key] = by.kdf2(state.chain, input);
  setChain(state, chain);
  return key;
}

/**
 * Initiator, first message (§ 5.4.2). `ephemeral` is 32 random bytes and is taken; `staticStatic` is
 * DH(S_i_priv, S_r_pub). Undefined, with the handshake cleared, if the peer's key is of low order.
 */
export function createInitiation(
  handshake: Handshake,
  primitives: Primitives,
  identity: Identity,
  remoteStatic: Uint8Array,
  staticStatic: Uint8Array,
  ephemeral: Uint8Array,
  timestamp: Uint8Array,
  localIndex: number,
): Uint8Array | undefined {
  handshake.clear();
  const shared = new Uint8Array(32);
  // C_i := Hash(Construction), H_i := Hash(C_i ‖ Identifier)
  handshake.chain = INITIAL_CHAIN.slice();
  handshake.hash = INITIAL_HASH.slice();
  // H_i := Hash(H_i ‖ S_r_pub)
  mixHash(primitives, handshake, remoteStatic);
  // (E_i_priv, E_i_pub) := DH-Generate()
  handshake.ephemeral = ephemeral;
  const ephemeralPublic = new Uint8Array(32);
  primitives.x25519Base(ephemeralPublic, ephemeral);
  // C_i := Kdf1(C_i, E_i_pub)
  mixKey(primitives, handshake, ephemeralPublic);
  // msg.ephemeral := E_i_pub, H_i := Hash(H_i ‖ msg.ephemeral)
  mixHash(primitives, handshake, ephemeralPublic);
  // (C_i, κ) := Kdf2(C_i, DH(E_i_priv, S_r_pub))
  if (!primitives.x25519(shared, ephemeral, remoteStatic)) {
    handshake.clear();
    return undefined;
  }
  let key = mixKeyForCipher(primitives, handshake, shared);
  // msg.static := Aead(κ, 0, S_i_pub, H_i), H_i := Hash(H_i ‖ msg.static)
  const encryptedStatic = primitives.seal(key, identity.publicKey, handshake.hash);
  mixHash(primitives, handshake, encryptedStatic);
  wipe(key, shared);
  // (C_i, κ) := Kdf2(C_i, DH(S_i_priv, S_r_pub))
  key = mixKeyForCipher(primitives, handshake, staticStatic);
  // msg.timestamp := Aead(κ, 0, Timestamp(), H_i), H_i := Hash(H_i ‖ msg.timestamp)
  const encryptedTimestamp = primitives.seal(key, timestamp, handshake.hash);
  mixHash(primitives, handshake, encryptedTimestamp);
  wipe(key);
  handshake.localIndex = localIndex;
  handshake.state = 'initiation-created';
  return encodeInitiation({
    sender: localIndex,
    ephemeral: ephemeralPublic,
    encryptedStatic,
    encryptedTimestamp,
  });
}

/**
 * Responder, first half of reading an initiation: who claims to have sent it. Undefined if it does
 * not decrypt. The result's chain and hash are secrets: give it to `verifyInitiation`.
 */
export function openInitiation(
  bytes: Uint8Array,
  primitives: Primitives,
  identity: Identity,
): OpenedInitiation | undefined {
  const message = decodeInitiation(bytes);
  if (message === undefined) return undefined;
  const shared = new Uint8Array(32);
  // C_r := Hash(Construction), H_r := Hash(C_r ‖ Identifier), H_r := Hash(H_r ‖ S_r_pub)
  const state = { chain: INITIAL_CHAIN.slice(), hash: INITIAL_HASH.slice() };
  mixHash(primitives, state, identity.publicKey);
  // C_r := Kdf1(C_r, msg.ephemeral), H_r := Hash(H_r ‖ msg.ephemeral)
  mixKey(primitives, state, message.ephemeral);
  mixHash(primitives, state, message.ephemeral);
  // (C_r, κ) := Kdf2(C_r, DH(S_r_priv, E_i_pub))
  if (!primitives.x25519(shared, identity.privateKey, message.ephemeral)) return undefined;
  const key = mixKeyForCipher(primitives, state, shared);
  // S_i_pub := Aead⁻¹(κ, 0, msg.static, H_r), H_r := Hash(H_r ‖ msg.static)
  const remoteStatic = primitives.open(key, message.encryptedStatic, state.hash);
  wipe(key, shared);
  if (remoteStatic === undefined) {
    wipe(state.chain, state.hash);
    return undefined;
  }
  mixHash(primitives, state, message.encryptedStatic);
  return { message, remoteStatic, chain: state.chain, hash: state.hash };
}

/**
 * Responder, second half: that the claimed sender is the sender. Returns the 12-byte timestamp, whose
 * freshness is the caller's to judge before `acceptInitiation`; undefined if it is not authentic.
 * Either way the secrets in `opened` have moved on and it is of no other use.
 */
export function verifyInitiation(
  opened: OpenedInitiation,
  primitives: Symmetric,
  staticStatic: Uint8Array,
): { timestamp: Uint8Array; chain: Uint8Array; hash: Uint8Array } | undefined {
  const state = { chain: opened.chain, hash: opened.hash };
  // (C_r, κ) := Kdf2(C_r, DH(S_r_priv, S_i_pub))
  const key = mixKeyForCipher(primitives, state, staticStatic);
  // timestamp := Aead⁻¹(κ, 0, msg.timestamp, H_r), H_r := Hash(H_r ‖ msg.timestamp)
  const timestamp = primitives.open(key, opened.message.encryptedTimestamp, state.hash);
  wipe(key);
  if (timestamp === undefined) {
    wipe(state.chain, state.hash);
    return undefined;
  }
  mixHash(primitives, state, opened.message.encryptedTimestamp);
  return { timestamp, chain: state.chain, hash: state.hash };
}

/** Responder: makes an authentic and fresh initiation the peer's handshake. */
export function acceptInitiation(
  handshake: Handshake,
  message: Initiation,
  verified: { chain: Uint8Array; hash: Uint8Array },
): void {
  const localIndex = handshake.localIndex;
  handshake.clear();
  handshake.localIndex = localIndex;
  handshake.chain = verified.chain;
  handshake.hash = verified.hash;
  handshake.remoteEphemeral = message.ephemeral.slice();
  handshake.remoteIndex = message.sender;
  handshake.state = 'initiation-consumed';
}

/**
 * Responder, second message (§ 5.4.3), for an accepted initiation. `ephemeral` is 32 random bytes and
 * is wiped. Undefined, with the handshake cleared, if the initiator's keys are of low order.
 */
export function createResponse(
  handshake: Handshake,
  primitives: Primitives,
  remoteStatic: Uint8Array,
  presharedKey: Uint8Array,
  ephemeral: Uint8Array,
  localIndex: number,
): Uint8Array | undefined {
  const shared = new Uint8Array(32);
  // (E_r_priv, E_r_pub) := DH-Generate()
  const ephemeralPublic = new Uint8Array(32);
  primitives.x25519Base(ephemeralPublic, ephemeral);
  // C_r := Kdf1(C_r, E_r_pub)
  mixKey(primitives, handshake, ephemeralPublic);
  // msg.ephemeral := E_r_pub, H_r := Hash(H_r ‖ msg.ephemeral)
  mixHash(primitives, handshake, ephemeralPublic);
  // C_r := Kdf1(C_r, DH(E_r_priv, E_i_pub))
  let fine = primitives.x25519(shared, ephemeral, handshake.remoteEphemeral);
  mixKey(primitives, handshake, shared);
  // C_r := Kdf1(C_r, DH(E_r_priv, S_i_pub))
  fine = primitives.x25519(shared, ephemeral, remoteStatic) && fine;
  mixKey(primitives, handshake, shared);
  wipe(ephemeral, shared);
  if (!fine) {
    handshake.clear();
    return undefined;
  }
  // (C_r, τ, κ) := Kdf3(C_r, Q)
  const [chain, t, key] = primitives.kdf3(handshake.chain, presharedKey);
  setChain(handshake, chain);
  // H_r := Hash(H_r ‖ τ)
  mixHash(primitives, handshake, t);
  // msg.empty := Aead(κ, 0, ε, H_r), H_r := Hash(H_r ‖ msg.empty)
  const encryptedNothing = primitives.seal(key, EMPTY, handshake.hash);
  mixHash(primitives, handshake, encryptedNothing);
  wipe(t, key);
  handshake.localIndex = localIndex;
  handshake.state = 'response-created';
  return encodeResponse({
    sender: localIndex,
    receiver: handshake.remoteIndex,
    ephemeral: ephemeralPublic,
    encryptedNothing,
  });
}

/**
 * Initiator: reads the response to its initiation. False, with the handshake as it was, if this is no
 * authentic response; true when the session's keys can be derived.
 */
export function consumeResponse(
  handshake: Handshake,
  bytes: Uint8Array,
  primitives: Primitives,
  identity: Identity,
  presharedKey: Uint8Array,
): boolean {
  const message = decodeResponse(bytes);
  if (message === undefined || handshake.state !== 'initiation-created') return false;
  const shared = new Uint8Array(32);
  const state = { chain: handshake.chain.slice(), hash: handshake.hash.slice() };
  // C_i := Kdf1(C_i, E_r_pub), H_i := Hash(H_i ‖ msg.ephemeral)
  mixKey(primitives, state, message.ephemeral);
  mixHash(primitives, state, message.ephemeral);
  // C_i := Kdf1(C_i, DH(E_i_priv, E_r_pub))
  let fine = primitives.x25519(shared, handshake.ephemeral, message.ephemeral);
  mixKey(primitives, state, shared);
  // C_i := Kdf1(C_i, DH(S_i_priv, E_r_pub))
  fine = fine && primitives.x25519(shared, identity.privateKey, message.ephemeral);
  mixKey(primitives, state, shared);
  wipe(shared);
  // (C_i, τ, κ) := Kdf3(C_i, Q)
  const [chain, t, key] = primitives.kdf3(state.chain, presharedKey);
  setChain(state, chain);
  // H_i := Hash(H_i ‖ τ)
  mixHash(primitives, state, t);
  // ε := Aead⁻¹(κ, 0, msg.empty, H_i), H_i := Hash(H_i ‖ msg.empty)
  fine = fine && primitives.open(key, message.encryptedNothing, state.hash) !== undefined;
  mixHash(primitives, state, message.encryptedNothing);
  wipe(t, key);
  if (!fine) {
    wipe(state.chain, state.hash);
    return false;
  }
  wipe(handshake.ephemeral);
  setChain(handshake, state.chain);
  wipe(handshake.hash);
  handshake.hash = state.hash;
  handshake.remoteIndex = message.sender;
  handshake.state = 'response-consumed';
  return true;
}

/**
 * Transport keys of a finished handshake (§ 5.4.5), and the end of it: all its secrets are wiped. The
 * caller wipes the keys when they are installed.
 */
export function deriveKeys(
  handshake: Handshake,
  primitives: Symmetric,
  isInitiator: boolean,
): { sealing: Uint8Array; opening: Uint8Array } {
  // (T_i_send = T_r_recv, T_i_recv = T_r_send) := Kdf2(C, ε)
  const [first, second] = primitives.kdf2(handshake.chain, EMPTY);
  // E_priv = E_pub = C := ε
  handshake.clear();
  return isInitiator ? { sealing: first, opening: second } : { sealing: second, opening: first };
}
