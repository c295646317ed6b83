/** Suites that need the real kernel: skipped with the reason in their name where they cannot run. */
import { describe } from 'vitest';
import { type Implementation, missing, ours, stock } from '../../lab/implementation.ts';

/** A suite of our program alone. `programs` are needed besides `ip`, `wg` and `ping`. */
export function netnsSuite(title: string, programs: readonly string[], tests: () => void): void {
  const lack = missing('wg', 'ping', ...programs);
  describe.skipIf(lack)(lack ? `${title} (skipped: ${lack})` : title, tests);
}

export interface Pairing {
  readonly left: Implementation;
  readonly right: Implementation;
}

/**
 * A suite once for each pairing of ours with the stock implementation: ours on the left, ours on the
 * right, ours on both sides.
 */
export function interopSuite(title: string, tests: (pairing: Pairing) => void): void {
  const peer = stock();
  const lack = missing('wg', 'ping') ?? (peer ? undefined : 'needs a current wireguard-go');
  const skipped = lack ? ` (skipped: ${lack})` : '';
  const other = peer ?? ours();
  const pairings = [
    { left: ours(), right: other },
    { left: other, right: ours() },
    { left: ours(), right: ours() },
  ];
  for (const pairing of pairings) {
    const roles = `${pairing.left.name} to ${pairing.right.name}`;
    describe.skipIf(lack)(`${title}: ${roles}${skipped}`, () => tests(pairing));
  }
}
