/** Whatever an edge sends as a netmap or a delta: refused or applied, never another exception. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Netmap } from '../../src/control/netmap.ts';
import { applyDelta } from '../../src/control/netmap-delta.ts';
import { decodeDelta, decodeNetmap, netmapFault } from '../../src/control/netmap-text.ts';
import type { CausewayError } from '../../src/errors.ts';

const id = (n: number): string => `00000000-0000-4000-8000-00000000000${n}`;
const key = (n: number): string => Buffer.alloc(32, n).toString('base64');
const mesh = (n: number): object => ({ ipv4: `100.96.0.${n}/32`, ipv6: `fd00::${n}/128` });

const peer = (n: number): object => ({
  replica: id(n),
  connector: id(n),
  name: `site-${n}`,
  publicKey: key(n),
  relayId: n,
  mesh: mesh(n),
  serving: true,
  prefixes: [{ prefix: `10.${n}.0.0/16`, priority: 100 }],
});
const NETMAP = {
  format: 1,
  revision: 5,
  self: {
    ...{ replica: id(1), connector: id(1), name: 'site-1', vnet: id(9), vnetName: 'default' },
    ...{ relayId: 1, mesh: mesh(1), serving: true },
    meshRanges: { ipv4: '100.96.0.0/12', ipv6: 'fd00::/48' },
    routes: [],
  },
  peers: [peer(2), peer(3)],
  edges: [],
};
const DELTA = {
  format: 1,
  revision: 6,
  self: NETMAP.self,
  upsert: [peer(4), { ...peer(2), name: 'renamed' }],
  patch: [{ replica: id(3), connector: id(3), set: [], remove: ['10.3.0.0/16'] }],
  remove: [],
  edges: [],
};

/** A small damage: a value somewhere inside is replaced, taken away, or appears twice. */
function damage(value: unknown, path: readonly number[], by: unknown): unknown {
  const [at, ...rest] = path;
  if (at === undefined || value === null || typeof value !== 'object') return by;
  const keys = Object.keys(value);
  if (keys.length === 0) return by;
  const name = keys[at % keys.length]!;
  const inner = (value as Record<string, unknown>)[name];
  if (Array.isArray(value) && at % 5 === 0) return [...value, inner];
  if (!Array.isArray(value) && at % 11 === 0) return { ...value, extra: by };
  const changed = damage(inner, rest, by);
  return Array.isArray(value) ? value.with(Number(name), changed) : { ...value, [name]: changed };
}

const path = fc.array(fc.nat({ max: 1_000 }), { minLength: 1, maxLength: 6 });
const by = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    '',
    -1,
    1.5,
    2,
    [],
    {},
    id(1),
    id(2),
    key(2),
    key(3),
    '10.2.0.0/16',
  ),
  fc.constantFrom<unknown>(
    true,
    false,
    '10.2.0.1/16',
    '100.96.0.1/32',
    '100.97.0.0/16',
    '0.0.0.0/0',
  ),
  fc.jsonValue(),
);
const base = decodeNetmap(JSON.stringify(NETMAP));

test('what they are damaged from is valid', () => {
  expect(base.ok && netmapFault(base.value)).toBeUndefined();
  const delta = decodeDelta(JSON.stringify(DELTA));
  expect(base.ok && delta.ok && applyDelta(base.value, delta.value).peers).toHaveLength(3);
}, 60_000);

test('any text', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
      expect(decodeNetmap(text)).toMatchObject({ ok: false, code: 'NETMAP_INVALID' });
      expect(decodeDelta(text)).toMatchObject({ ok: false, code: 'NETMAP_INVALID' });
    }),
    { numRuns: 3_000 },
  );
}, 60_000);

test('damaged netmaps: what is let through keeps the rules', () => {
  fc.assert(
    fc.property(path, by, (where, what) => {
      const decoded = decodeNetmap(JSON.stringify(damage(NETMAP, where, what)));
      if (decoded.ok) expect(netmapFault(decoded.value)).toBeUndefined();
      else expect(decoded.code).toBe('NETMAP_INVALID');
    }),
    { numRuns: 10_000 },
  );
}, 60_000);

test('damaged deltas: the netmap stays as it is, or the next one keeps the rules', () => {
  if (!base.ok) throw new Error(base.message);
  const before = JSON.stringify(base.value);
  fc.assert(
    fc.property(path, by, (where, what) => {
      const decoded = decodeDelta(JSON.stringify(damage(DELTA, where, what)));
      if (!decoded.ok) return;
      let next: Netmap;
      try {
        next = applyDelta(base.value, decoded.value);
      } catch (error) {
        expect((error as CausewayError).code).toBe('NETMAP_INVALID');
        return;
      } finally {
        expect(JSON.stringify(base.value)).toBe(before);
      }
      expect(netmapFault(next)).toBeUndefined();
    }),
    { numRuns: 10_000 },
  );
}, 60_000);
