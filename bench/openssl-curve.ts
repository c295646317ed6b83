/** Curve25519 by node's own OpenSSL, for load generators that must cost less than what they load. */
import { createPrivateKey, createPublicKey, diffieHellman } from 'node:crypto';
import type { Curve } from '../src/primitives.ts';

/** DER up to the 32 bytes of the key: PKCS #8 and SubjectPublicKeyInfo (RFC 8410). */
const PRIVATE = Buffer.from('302e020100300506032b656e04220420', 'hex');
const PUBLIC = Buffer.from('302a300506032b656e032100', 'hex');

function privateKeyObject(scalar: Uint8Array): ReturnType<typeof createPrivateKey> {
  const key = Buffer.concat([PRIVATE, scalar]);
  return createPrivateKey({ key, format: 'der', type: 'pkcs8' });
}

export const opensslCurve: Curve = {
  x25519(out, scalar, point) {
    const key = Buffer.concat([PUBLIC, point]);
    const publicKey = createPublicKey({ key, format: 'der', type: 'spki' });
    out.set(diffieHellman({ privateKey: privateKeyObject(scalar), publicKey }));
    return true;
  },

  x25519Base(out, scalar) {
    const der = createPublicKey(privateKeyObject(scalar)).export({ format: 'der', type: 'spki' });
    out.set(der.subarray(PUBLIC.length));
  },
};
