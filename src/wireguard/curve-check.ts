/** Holds another implementation of X25519 against noble, the reference, before it is used. */
import { equalBytes } from '../bytes.ts';
import { nobleCurve } from './noble-curve.ts';
import type { Curve } from './noise.ts';

/** Undefined if the candidate does what noble does; else in what it differs. */
export function curveDisagreement(candidate: Curve): string | undefined {
  const scalar = Uint8Array.from({ length: 32 }, (_, i) => 255 - i * 5);
  const points = [new Uint8Array(32), new Uint8Array(32)] as const;
  candidate.x25519Base(points[0], scalar);
  nobleCurve.x25519Base(points[1], scalar);
  if (!equalBytes(points[0], points[1])) return 'its X25519 makes other public keys';
  const shared = [new Uint8Array(32), new Uint8Array(32)] as const;
  const other = Uint8Array.from({ length: 32 }, (_, i) => i * 3 + 2);
  const answers = [candidate, nobleCurve].map((curve, i) =>
    curve.x25519(shared[i]!, other, points[1]),
  );
  if (!answers[0] || !equalBytes(shared[0], shared[1])) return 'its X25519 agrees on other secrets';
  if (candidate.x25519(shared[0], scalar, new Uint8Array(32))) return 'its X25519 accepts zero';
  return undefined;
}
