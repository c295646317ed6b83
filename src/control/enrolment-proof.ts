/**
 * The proof, in an enrolment, that the host holds the private key of the WireGuard public key that it
 * enrols. Without it whoever has a join token could enrol the key of a sibling and get its record.
 *
 *   shared = X25519(private key of one, public key of the other)    only host and edge have it
 *   key    = HKDF-SHA256(shared, info = LABEL ‖ host's public key ‖ edge's public key)
 *   proof  = HMAC-SHA256(key, request)
 *
 * The request carries the hash of a credential that the host made, so a request that is replayed
 * gives the replayer nothing: neither clock nor nonce is needed. See docs/decisions/017.
 */
import { hkdf } from '@noble/hashes/hkdf.js';
import { hmac } from '@noble/hashes/hmac.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, equalBytes, hexToBytes, isZero, wipe } from '../bytes.ts';
import { KEY_SIZE, keyFromBase64 } from '../keys.ts';
import type { EnrolRequest } from './api.ts';

const LABEL = 'causeway enrolment v1';

/** What is proven: the whole request but the proof itself. Its texts are validated. */
export type ProvenRequest = Omit<EnrolRequest, 'proof'>;

/**
 * The proof in hexadecimal digits.
 *
 * @param shared X25519 of the two, 32 bytes; not all zero, which every key of low order gives
 * @param edgePublicKey 32 bytes
 */
export function enrolmentProof(
  shared: Uint8Array,
  edgePublicKey: Uint8Array,
  request: ProvenRequest,
): string {
  if (isZero(shared)) throw new RangeError('a shared secret of a key of low order');
  const text = new TextEncoder();
  const host = keyFromBase64(request.publicKey)!;
  const info = Uint8Array.of(...text.encode(LABEL), ...host, ...edgePublicKey);
  const key = hkdf(sha256, shared, undefined, info, KEY_SIZE);
  const proof = hmac(sha256, key, text.encode(transcript(request)));
  wipe(key);
  return bytesToHex(proof);
}

/** Whether the proof is that of the request; in constant time. Parameters as `enrolmentProof`. */
export function isEnrolmentProof(
  shared: Uint8Array,
  edgePublicKey: Uint8Array,
  { proof, ...request }: EnrolRequest,
): boolean {
  const given = hexToBytes(proof);
  if (given === undefined || isZero(shared)) return false;
  return equalBytes(given, hexToBytes(enrolmentProof(shared, edgePublicKey, request))!);
}

/** Every field, in an order of its own, so that no two requests have the same text. */
function transcript(request: ProvenRequest): string {
  const { connector, secret, publicKey, credentialHash, hostname, version, advertise } = request;
  const allowDefault = request.allowDefault ?? false;
  return JSON.stringify([
    ...[connector, secret, publicKey, credentialHash, hostname, version],
    advertise,
    allowDefault,
  ]);
}
