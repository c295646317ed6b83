/** Checks with the edge's WireGuard key that who enrols has the private key (control/enrolment-proof.ts). */
import { x25519 } from '@noble/curves/ed25519.js';
import { wipe } from '../bytes.ts';
import type { EnrolRequest } from '../control/api.ts';
import { isEnrolmentProof } from '../control/enrolment-proof.ts';
import { keyFromBase64, type PrivateKey } from '../keys.ts';

/**
 * About a millisecond a request: to be asked only of who has a join token.
 *
 * @param edgePublicKey of `privateKey`, 32 bytes
 */
export function enrolmentCheck(
  privateKey: PrivateKey,
  edgePublicKey: Uint8Array,
): (request: EnrolRequest) => boolean {
  return (request) => {
    const shared = sharedSecret(privateKey, keyFromBase64(request.publicKey)!);
    if (shared === undefined) return false;
    const proven = isEnrolmentProof(shared, edgePublicKey, request);
    wipe(shared);
    return proven;
  };
}

/** Undefined for a key of low order, whose shared secret everybody knows. */
function sharedSecret(privateKey: PrivateKey, publicKey: Uint8Array): Uint8Array | undefined {
  try {
    return x25519.getSharedSecret(privateKey, publicKey);
  } catch {
    return undefined;
  }
}
