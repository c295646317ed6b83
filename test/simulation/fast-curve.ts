/** Curve25519 by OpenSSL, 25 times as fast as noble: an independent implementation at that. */
import { createPrivateKey, createPublicKey, diffieHellman, type KeyObject } from 'node:crypto';
import { isZero } from '../../src/bytes.ts';
import type { Curve } from '../../src/primitives.ts';

const PKCS8 = Buffer.from('302e020100300506032b656e04220420', 'hex');
const SPKI = Buffer.from('302a300506032b656e032100', 'hex');

export function privateKeyObject(scalar: Uint8Array): KeyObject {
  return createPrivateKey({ key: Buffer.concat([PKCS8, scalar]), format: 'der', type: 'pkcs8' });
}

export function publicKeyObject(point: Uint8Array): KeyObject {
  return createPublicKey({ key: Buffer.concat([SPKI, point]), format: 'der', type: 'spki' });
}

export function publicBytes(key: KeyObject): Uint8Array {
  return Uint8Array.from(createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(12));
}

export const fastCurve: Curve = {
  x25519(out, scalar, point) {
    try {
      out.set(
        diffieHellman({ privateKey: privateKeyObject(scalar), publicKey: publicKeyObject(point) }),
      );
    } catch {
      out.fill(0);
    }
    return !isZero(out);
  },
  x25519Base(out, scalar) {
    out.set(publicBytes(privateKeyObject(scalar)));
  },
};
