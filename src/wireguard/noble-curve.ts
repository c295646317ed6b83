/** Curve25519 in pure TypeScript (RFC 7748), by noble. About 1 ms per operation. */
import { x25519 } from '@noble/curves/ed25519.js';
import { isZero } from '../bytes.ts';
import type { Curve } from './noise.ts';

export const nobleCurve: Curve = {
  x25519(out, scalar, point) {
    let shared: Uint8Array;
    try {
      shared = x25519.getSharedSecret(scalar, point);
    } catch {
      // noble throws when the result is all zero.
      out.fill(0);
      return false;
    }
    out.set(shared);
    shared.fill(0);
    return !isZero(out);
  },

  // By a table of the base point that noble makes at the first call, in 90 ms: a third of the time of
  // the ladder afterwards.
  x25519Base(out, scalar) {
    out.set(x25519.getPublicKey(scalar));
  },
};
