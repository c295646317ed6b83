import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  containsAddress,
  formatPrefix,
  type Prefix,
  parsePrefix,
  prefixOf,
} from '../../../src/routing/prefix.ts';
import {
  type LocalRoute,
  planRoutes,
  type RoutePlan,
  RoutePlanner,
  sameLocalRoutes,
} from '../../../src/routing/route-plan.ts';

const prefix = (text: string): Prefix => parsePrefix(text)!;
const local = (text: string, connected: boolean): LocalRoute => ({
  prefix: prefix(text),
  connected,
  interfaceName: 'eth0',
});
const connected = (text: string): LocalRoute => local(text, true);
const routed = (text: string): LocalRoute => local(text, false);

function plan(ours: string[], theirs: LocalRoute[]): Record<string, string[]> {
  const { routes, throws, conflicts } = planRoutes(ours.map(prefix), theirs);
  return {
    routes: routes.map(formatPrefix),
    throws: throws.map(formatPrefix),
    conflicts: conflicts.map((conflict) =>
      [conflict.prefix, conflict.local.prefix].map(formatPrefix).concat(conflict.outcome).join(' '),
    ),
  };
}

describe('what goes through the tunnel', () => {
  test('with nothing local: everything, sorted, once', () => {
    expect(plan(['10.2.0.0/16', '10.1.0.0/16', '10.2.0.0/16', '::/0'], [])).toEqual({
      routes: ['10.1.0.0/16', '10.2.0.0/16', '::/0'],
      throws: [],
      conflicts: [],
    });
  });

  test('a connected subnet wins over an equal, a wider and a narrower route', () => {
    const lan = connected('192.168.1.0/24');
    expect(plan(['192.168.1.0/24'], [lan])).toEqual({
      routes: [],
      throws: [],
      conflicts: ['192.168.1.0/24 192.168.1.0/24 not-installed'],
    });
    expect(plan(['192.168.1.128/25'], [lan]).routes).toEqual([]);
    expect(plan(['192.168.0.0/16'], [lan])).toEqual({
      routes: ['192.168.0.0/16'],
      throws: ['192.168.1.0/24'],
      conflicts: ['192.168.0.0/16 192.168.1.0/24 partly-local'],
    });
  });

  test('a static route wins by its length only', () => {
    expect(plan(['10.1.0.0/16'], [routed('10.0.0.0/8')])).toEqual({
      routes: ['10.1.0.0/16'],
      throws: [],
      conflicts: [],
    });
    expect(plan(['10.0.0.0/8'], [routed('10.1.0.0/16')])).toEqual({
      routes: ['10.0.0.0/8'],
      throws: ['10.1.0.0/16'],
      conflicts: [],
    });
    expect(plan(['10.0.0.0/8'], [routed('10.0.0.0/8')]).conflicts).toEqual([
      '10.0.0.0/8 10.0.0.0/8 not-installed',
    ]);
  });

  test('a default route takes over from the local one, quietly', () => {
    expect(plan(['0.0.0.0/0'], [routed('0.0.0.0/0'), connected('192.0.2.0/24')])).toEqual({
      routes: ['0.0.0.0/0'],
      throws: ['192.0.2.0/24'],
      conflicts: [],
    });
  });

  test('families are apart', () => {
    expect(plan(['::/0'], [connected('10.0.0.0/8')]).throws).toEqual([]);
  });
});

test('the two tables together are longest-prefix match, but that connected wins', () => {
  // Four bits of address, so that everything overlaps.
  const small = fc
    .tuple(fc.nat(15), fc.integer({ min: 1, max: 4 }))
    .map(([bits, length]) => prefixOf(Uint8Array.of(bits << 4, 0, 0, 0), length));
  const route = fc.record({
    prefix: small,
    connected: fc.boolean(),
    interfaceName: fc.constant('e'),
  });
  fc.assert(
    fc.property(
      fc.array(small, { maxLength: 6 }),
      fc.array(route, { maxLength: 6 }),
      (ours, theirs) => {
        const planned = planRoutes(ours, theirs);
        for (let bits = 0; bits < 16; bits++) {
          const address = Uint8Array.of(bits << 4, 0, 0, 0);
          expect(throughTunnel(planned, address)).toBe(expected(ours, theirs, address));
        }
      },
    ),
    { numRuns: 2_000 },
  );
});

test('a plan that is kept up to date is the plan made anew, and says which entries changed', () => {
  const small = fc.tuple(fc.nat(7), fc.integer({ min: 0, max: 3 }), fc.boolean());
  const pool = [4, 16].flatMap((size) =>
    Array.from({ length: 8 }, (_, bits) =>
      [0, 1, 2, 3].map((length) => {
        const address = new Uint8Array(size);
        address[0] = bits << 5;
        return prefixOf(address, length);
      }),
    ),
  );
  const pick = ([bits, length, six]: [number, number, boolean]): Prefix =>
    pool[bits + (six ? 8 : 0)]![length]!;
  const locals = fc.array(fc.tuple(small, fc.boolean()), { maxLength: 4 });
  const step = fc.record({
    wanted: fc.array(fc.array(small, { maxLength: 3 }), { maxLength: 4 }),
    local: fc.option(locals, { nil: undefined }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 8 }), (steps) => {
      const kept = new RoutePlanner();
      let theirs: LocalRoute[] = [];
      const lists = new Map<string, Prefix[]>();
      for (const { wanted, local: changed } of steps) {
        if (changed !== undefined) {
          theirs = changed.map(([what, isConnected]): LocalRoute => {
            return { prefix: pick(what), connected: isConnected, interfaceName: 'e' };
          });
        }
        // Lists that are the same objects as before are what is not looked at again.
        const ours = wanted.map((some) => {
          const text = JSON.stringify(some);
          lists.set(text, lists.get(text) ?? some.map(pick));
          return lists.get(text)!;
        });
        const before = new Map(kept.table);
        const touched = kept.update(ours, theirs);
        const fresh = new RoutePlanner();
        fresh.update(ours, theirs);
        expect(new Map([...kept.table].sort())).toEqual(new Map([...fresh.table].sort()));
        expect(kept.conflicts).toEqual(fresh.conflicts);
        if (touched === undefined) continue;
        for (const key of new Set([...before.keys(), ...kept.table.keys()])) {
          if (!touched.has(key)) expect(kept.table.get(key)).toEqual(before.get(key));
        }
      }
    }),
    { numRuns: 3_000 },
  );
});

test('a main table that was read again is known to be the same, or not', () => {
  const table = () => [connected('10.1.0.0/24'), routed('10.2.0.0/16'), routed('fd02::/64')];
  expect(sameLocalRoutes(table(), table())).toBe(true);
  const others = [
    table().slice(1),
    [...table(), routed('10.3.0.0/16')],
    [connected('10.1.0.0/25'), ...table().slice(1)],
    [routed('10.1.0.0/24'), ...table().slice(1)],
    [{ ...connected('10.1.0.0/24'), interfaceName: 'eth1' }, ...table().slice(1)],
    [connected('10.9.0.0/24'), ...table().slice(1)],
  ];
  for (const other of others) expect(sameLocalRoutes(table(), other)).toBe(false);
});

/** What the kernel does with our table: the longest of routes and throws. */
function throughTunnel({ routes, throws }: RoutePlan, address: Uint8Array): boolean {
  return longest(routes, address) > longest(throws, address);
}

function expected(ours: Prefix[], theirs: LocalRoute[], address: Uint8Array): boolean {
  if (theirs.some((route) => route.connected && containsAddress(route.prefix, address)))
    return false;
  return (
    longest(ours, address) >
    longest(
      theirs.map((route) => route.prefix),
      address,
    )
  );
}

function longest(prefixes: readonly Prefix[], address: Uint8Array): number {
  const lengths = prefixes
    .filter((one) => containsAddress(one, address))
    .map(({ length }) => length);
  return Math.max(-1, ...lengths);
}
