/** Holds another implementation of the handshake's functions against noble before it is used. */
import { equalBytes } from '../bytes.ts';
import type { Curve, Primitives, Symmetric } from '../primitives.ts';
import { noblePrimitives } from './noble-primitives.ts';

/** Undefined if the candidate does what noble does; else in what it differs. */
export function primitivesDisagreement(candidate: Primitives): string | undefined {
  return curveDisagreement(candidate) ?? symmetricDisagreement(candidate);
}

/** The u-coordinate of the base point (RFC 7748 § 4.1). */
const BASE_POINT = Uint8Array.from({ length: 32 }, (_, i) => (i === 0 ? 9 : 0));

function curveDisagreement(candidate: Curve): string | undefined {
  const scalar = sequence(32, 255, -5);
  const points = [new Uint8Array(32), new Uint8Array(32)] as const;
  candidate.x25519Base(points[0], scalar);
  // The same as `x25519Base` without noble's table, which takes 90 ms to make and stays for good.
  noblePrimitives.x25519(points[1], scalar, BASE_POINT);
  if (!equalBytes(points[0], points[1])) return 'its X25519 makes other public keys';
  const shared = [new Uint8Array(32), new Uint8Array(32)] as const;
  const other = sequence(32, 2, 3);
  const answers = [candidate, noblePrimitives].map((curve, i) =>
    curve.x25519(shared[i]!, other, points[1]),
  );
  if (!answers[0] || !equalBytes(shared[0], shared[1])) return 'its X25519 agrees on other secrets';
  if (candidate.x25519(shared[0], scalar, new Uint8Array(32))) return 'its X25519 accepts zero';
  return undefined;
}

/** Sizes on both sides of BLAKE2s's blocks of 64 bytes. */
const HASHED = [0, 1, 32, 63, 64, 65, 116, 132];

type Kdf = (by: Symmetric, key: Uint8Array, input: Uint8Array) => Uint8Array;
const KDFS: readonly Kdf[] = [
  (by, key, input) => by.kdf1(key, input),
  (by, key, input) => joined(by.kdf2(key, input)),
  (by, key, input) => joined(by.kdf3(key, input)),
];

function symmetricDisagreement(candidate: Symmetric): string | undefined {
  const key = sequence(32, 1, 7);
  for (const size of HASHED) {
    const input = sequence(size, 3, 11);
    if (!equalBytes(candidate.hash(key, input), noblePrimitives.hash(key, input))) {
      return `its BLAKE2s differs for ${32 + size} bytes`;
    }
    if (!equalBytes(candidate.mac(key, input), noblePrimitives.mac(key, input))) {
      return `its keyed BLAKE2s differs for ${size} bytes`;
    }
  }
  for (const size of [0, 32]) {
    const input = sequence(size, 5, 13);
    for (const kdf of KDFS) {
      if (!equalBytes(kdf(candidate, key, input), kdf(noblePrimitives, key, input))) {
        return 'its HKDF differs';
      }
    }
    const sealed = noblePrimitives.seal(key, input, key);
    if (!equalBytes(candidate.seal(key, input, key), sealed)) return 'its AEAD seals differently';
    const opened = candidate.open(key, sealed, key);
    if (opened === undefined || !equalBytes(opened, input)) return 'its AEAD opens differently';
    sealed[size] = sealed[size]! ^ 1;
    if (candidate.open(key, sealed, key) !== undefined) return 'its AEAD opens what is forged';
  }
  return undefined;
}

function joined(outputs: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(outputs.flatMap((output) => [...output]));
}

function sequence(length: number, first: number, step: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => first + i * step);
}
