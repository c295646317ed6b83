/**
 * What another gateway may answer, with anything in the place of anything: it is refused, or it becomes steps
 * that print as text and commands that a shell takes for nothing but words.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatExplanation } from '../../src/cli/routes-explain.ts';
import { flowAnswerSchema } from '../../src/gateway/diagnosis/protocol.ts';
import {
  DESTINATION,
  refused,
  SOURCE,
  sent,
  sideFacts,
  stepsOf,
} from '../unit/gateway/explain/facts.ts';

const NASTY = [
  ...['; reboot', '$(reboot)', '`reboot`', '| sh', '&& x', '-rf', '--', '../..', "'", '"', '\\'],
  ...['\u001b[2J', '\r', '\n', '\0', '\u202e', '\u009b1m', '', ' ', 'lan0 x', 'a'.repeat(10_000)],
];
const nasty = fc.oneof(
  fc.constantFrom<unknown>(...NASTY, null, true, -1, 1e308, [], {}),
  fc
    .tuple(fc.constantFrom('lan0', 'inet', '10.2.0.0/24', 'b'), fc.constantFrom(...NASTY))
    .map(([word, tail]) => word + tail),
  fc.string({ unit: 'binary' }),
  // Such as are allowed, too: what is accepted is to be looked at.
  fc.constantFrom<unknown>('eth0.7', 'br-lan', 'wg@x', 'FORWARD', 'ufw-user-forward', 65_535),
  fc.constantFrom<unknown>('dropped', 'partly', 'iptables', 'Docker', 'ip6', 'output', 'rejected'),
  fc.constantFrom<unknown>('pending', 'none', 'unreachable', 'no-route', 'silent', 'down', 'deny'),
);

const FILTER = {
  ...{ tool: 'nft', family: 'inet', table: 'filter', chain: 'forward', hook: 'forward' },
  ...{ product: 'nftables', way: 'flow', passage: 'dropped' },
};

/** An answer that says as much as one can. */
function full(): unknown {
  const facts = sideFacts(2, 1);
  const local = { prefix: '10.1.0.0/25', device: 'wan0', connected: false };
  const others = [{ connector: 'c', prefix: '10.0.0.0/8', priority: 5 }];
  const away = { forwarded: refused('rejected'), own: sent('wan0', '10.1.0.0/25', '192.0.2.1') };
  const kernel = { ...facts.kernel, toFar: away, strict: ['lan0'], filters: [FILTER] };
  return structuredClone({ facts: { ...facts, far: { ...facts.far, local, others }, kernel } });
}

/** Every place in a value, as a path. */
function placesOf(value: unknown, path: string[] = []): string[][] {
  if (typeof value !== 'object' || value === null) return [path];
  return [
    path,
    ...Object.entries(value).flatMap(([key, inner]) => placesOf(inner, [...path, key])),
  ];
}

function put(root: unknown, path: readonly string[], value: unknown): unknown {
  const [key, ...rest] = path;
  if (key === undefined) return value;
  if (typeof root !== 'object' || root === null) return root;
  const copy = Array.isArray(root) ? [...root] : { ...root };
  (copy as Record<string, unknown>)[key] = put((root as Record<string, unknown>)[key], rest, value);
  return copy;
}

const PLACES = placesOf(full());

test('an answer is refused, or safe to print and to copy', () => {
  expect(flowAnswerSchema.safeParse(full()).success).toBe(true);
  let accepted = 0;
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.constantFrom(...PLACES), nasty), { minLength: 1, maxLength: 2 }),
      fc.constantFrom('origin' as const, 'target' as const),
      (changes, hereIs) => {
        const answer = changes.reduce((root, [path, value]) => put(root, path, value), full());
        const parsed = flowAnswerSchema.safeParse(JSON.parse(JSON.stringify(answer) ?? 'null'));
        if (!parsed.success || !('facts' in parsed.data)) return;
        accepted++;
        const { facts } = parsed.data;
        const steps = stepsOf({ hereIs, ...(hereIs === 'origin' ? { b: facts } : { a: facts }) });
        for (const { remedy } of steps) {
          for (const command of remedy?.commands ?? []) {
            // Never at the edge, nor here: whoever is asked could have itself given another's prefix.
            expect(remedy?.at).toBe(hereIs === 'origin' ? 'b' : 'a');
            expect(command).toMatch(/^[a-z][\w-]*( [\w./:@=-]+)+$/);
          }
        }
        const text = formatExplanation({
          ...{ source: SOURCE, destination: DESTINATION, flow: '', connector: 'a' },
          ...{ concerned: true, ok: false, steps },
        });
        expect(text).toMatch(/^[\x20-\x7e\n→]*$/);
      },
    ),
    { numRuns: 4_000 },
  );
  expect(accepted).toBeGreaterThan(100);
});
