/** Curve25519 in pure TypeScript (RFC 7748), by noble. About 1 ms per operation. */
import { x25519 } from '@noble/curves/ed25519.js';
import { isZero } from '../bytes.ts';
import type { Curve } from './noise.ts';

const BASE_POINT = new Uint8Array(32);
BASE_POINT[0] = 9;

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

  // By the ladder too: noble's own way is three times as fast, but makes a table for 90 ms first,
  // in which no packet would be carried.
  x25519Base(out, scalar) {
    out.set(x25519.getSharedSecret(scalar, BASE_POINT));
  },
};
