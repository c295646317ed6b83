/** Netmaps and deltas of a later edge: what this build does not know is passed over, but for policies. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Netmap } from '../../../src/control/netmap.ts';
import { applyDelta } from '../../../src/control/netmap-delta.ts';
import { decodeDelta, decodeNetmap } from '../../../src/control/netmap-text.ts';
import { edge, netmap, peer, uuid } from '../gateway/mesh/netmaps.ts';

const POLICY = {
  version: 3,
  default: 'deny' as const,
  tags: {},
  rules: [{ action: 'allow' as const, from: null, to: null, protocols: [6], ports: [], icmp: [] }],
};
const LATER = { ...POLICY, version: 4, rules: [{ ...POLICY.rules[0]!, weekdays: ['mon'] }] };
const BASE: Netmap = {
  ...netmap({
    own: [['10.1.0.0/24', true]],
    peers: [{ n: 2, prefixes: [['10.2.0.0/24']] }],
    edges: [edge(1, '192.0.2.1:2408')],
  }),
  policy: POLICY,
};
const DELTA = {
  format: 1,
  revision: 2,
  self: BASE.self,
  upsert: [peer({ n: 3 })],
  patch: [
    {
      replica: uuid(2),
      connector: uuid(1_002),
      set: [{ prefix: '10.9.0.0/24', priority: 1 }],
      remove: [],
    },
  ],
  edges: BASE.edges,
};

function decoded<T>(result: { ok: true; value: T } | { ok: false; message: string }): T {
  if (!result.ok) throw new Error(result.message);
  return result.value;
}

/** With fields that nobody knows in some of its objects, outside of policies. */
function withMore(value: unknown, where: Iterator<boolean>): unknown {
  if (Array.isArray(value)) return value.map((one) => withMore(one, where));
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(([key, inner]) => {
    return [key, key === 'policy' ? inner : withMore(inner, where)];
  });
  const more = where.next().value ? { unheardOf: { of: [1] } } : {};
  return { ...Object.fromEntries(entries), ...more };
}

test('what is not known is passed over, wherever it is', () => {
  fc.assert(
    fc.property(fc.infiniteStream(fc.boolean()), (where) => {
      const map = decodeNetmap(JSON.stringify(withMore(BASE, where)));
      expect(map).toEqual({ ok: true, value: BASE });
      const delta = decodeDelta(JSON.stringify(withMore(DELTA, where)));
      expect(delta).toEqual({ ok: true, value: DELTA });
    }),
    { numRuns: 100 },
  );
  expect(decodeNetmap(JSON.stringify({ ...BASE, format: 2 }))).toMatchObject({ ok: false });
});

test('a policy that is not understood is set aside as it came', () => {
  const { policy: _, ...rest } = BASE;
  const whole = decoded(decodeNetmap(JSON.stringify({ ...BASE, policy: LATER })));
  expect(whole).toEqual({ ...rest, laterPolicy: LATER });
  // By a delta, the one before stays; on the disk and in the next build all is as it was.
  const delta = decoded(decodeDelta(JSON.stringify({ format: 1, revision: 2, policy: LATER })));
  const next = applyDelta(BASE, delta);
  expect(next).toEqual({ ...BASE, revision: 2, laterPolicy: LATER });
  expect(decoded(decodeNetmap(JSON.stringify(next)))).toEqual(next);
  // What is not about it leaves it there; one that is understood, or none, ends it.
  const apply = (map: Netmap, change: object): Netmap => {
    const revision = map.revision + 1;
    return applyDelta(
      map,
      decoded(decodeDelta(JSON.stringify({ format: 1, revision, ...change }))),
    );
  };
  expect(apply(next, { upsert: [peer({ n: 3 })] })).toMatchObject({
    laterPolicy: LATER,
    policy: POLICY,
  });
  const known = { ...POLICY, version: 5 };
  expect(apply(next, { policy: known })).toEqual({ ...BASE, revision: 3, policy: known });
  expect(apply(next, { policy: null })).toEqual({ ...rest, revision: 3 });
  // The build that understands it takes it from where the one before put it.
  const upgraded = decodeNetmap(JSON.stringify({ ...rest, laterPolicy: POLICY }));
  expect(upgraded).toEqual({ ok: true, value: BASE });
});

test('what is no policy is a fault, as before', () => {
  for (const policy of [1, 'x', [], {}, { ...POLICY, version: 'x' }]) {
    expect(decodeNetmap(JSON.stringify({ ...BASE, policy })).ok).toBe(false);
  }
});
