/** Holds an implementation of the handshake's functions against noble's answers before it is used. */
import { bytesToHex, equalBytes, hexToBytes } from '../bytes.ts';
import type { Curve, Primitives, Symmetric } from '../primitives.ts';
import { DERIVATIONS, HASHES, MACS, PUBLIC_KEY, SEALED, SHARED_SECRET } from './known-answers.ts';

/** Undefined if the candidate does what noble does; else in what it differs. */
export function primitivesDisagreement(candidate: Primitives): string | undefined {
  return curveDisagreement(candidate) ?? symmetricDisagreement(candidate);
}

function curveDisagreement(candidate: Curve): string | undefined {
  const scalar = sequence(32, 255, -5);
  const point = new Uint8Array(32);
  candidate.x25519Base(point, scalar);
  if (bytesToHex(point) !== PUBLIC_KEY) return 'its X25519 makes other public keys';
  const shared = new Uint8Array(32);
  const agreed = candidate.x25519(shared, sequence(32, 2, 3), point);
  if (!agreed || bytesToHex(shared) !== SHARED_SECRET) return 'its X25519 agrees on other secrets';
  if (candidate.x25519(shared, scalar, new Uint8Array(32))) return 'its X25519 accepts zero';
  return undefined;
}

/** Sizes on both sides of BLAKE2s's blocks of 64 bytes. */
const HASHED = [0, 1, 32, 63, 64, 65, 116, 132];
const DERIVED = [0, 32];

function symmetricDisagreement(candidate: Symmetric): string | undefined {
  const key = sequence(32, 1, 7);
  for (const [i, size] of HASHED.entries()) {
    const input = sequence(size, 3, 11);
    if (bytesToHex(candidate.hash(key, input)) !== HASHES[i]) {
      return `its BLAKE2s differs for ${32 + size} bytes`;
    }
    if (bytesToHex(candidate.mac(key, input)) !== MACS[i]) {
      return `its keyed BLAKE2s differs for ${size} bytes`;
    }
  }
  for (const [i, size] of DERIVED.entries()) {
    const input = sequence(size, 5, 13);
    const derived = [
      [candidate.kdf1(key, input)],
      candidate.kdf2(key, input),
      candidate.kdf3(key, input),
    ];
    for (const outputs of derived) {
      const expected = DERIVATIONS[i]!.slice(0, outputs.length * 64);
      if (outputs.map(bytesToHex).join('') !== expected) return 'its HKDF differs';
    }
    const sealed = hexToBytes(SEALED[i]!)!;
    if (!equalBytes(candidate.seal(key, input, key), sealed)) return 'its AEAD seals differently';
    const opened = candidate.open(key, sealed, key);
    if (opened === undefined || !equalBytes(opened, input)) return 'its AEAD opens differently';
    sealed[size] = sealed[size]! ^ 1;
    if (candidate.open(key, sealed, key) !== undefined) return 'its AEAD opens what is forged';
  }
  return undefined;
}

function sequence(length: number, first: number, step: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => first + i * step);
}
