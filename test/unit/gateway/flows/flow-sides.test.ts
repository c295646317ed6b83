/** Whose an address is, and which connections cross the mesh. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Netmap } from '../../../../src/control/netmap.ts';
import { FlowSides } from '../../../../src/gateway/flows/flow-sides.ts';
import {
  type MeshRoute,
  NetmapTranslator,
  type Wanted,
} from '../../../../src/gateway/mesh/netmap-translation.ts';
import { parseAddress } from '../../../../src/routing/address.ts';
import { parsePrefix } from '../../../../src/routing/prefix.ts';
import type { Tuple } from '../../../../src/tun/conntrack-messages.ts';
import { netmap } from '../mesh/netmaps.ts';

const own = (prefix: string, approved = true, priority = 100) => ({ prefix, approved, priority });

type RouteText = [prefix: string, connector: string, priority?: number];

type Lists = Wanted['routeLists'];

/** The time of an update is its number. */
let updates = 0;

function sides(...routes: RouteText[]): FlowSides {
  const made = new FlowSides();
  update(made, ...routes);
  return made;
}

function update(made: FlowSides, ...routes: RouteText[]): void {
  const map = {
    self: {
      name: 'a',
      mesh: { ipv4: '100.96.0.1/32', ipv6: 'fd00::1/128' },
      routes: [own('10.1.0.0/16'), own('10.9.0.0/16', false), own('10.50.0.0/16')],
    },
    peers: [
      peer('b', '100.96.0.2/32', 'fd00::2/128', true),
      peer('b', '100.96.0.2/32', 'fd00::2/128', false),
    ],
  };
  const wanted = routes.map(([text, connector, priority = 100]): MeshRoute => {
    return { text, prefix: parsePrefix(text)!, connector, priority, publicKey: `key ${connector}` };
  });
  const routeLists = Object.values(Object.groupBy(wanted, ({ connector }) => connector)) as Lists;
  made.update(map as unknown as Netmap, { routeLists }, ++updates);
}

function peer(name: string, ipv4: string, ipv6: string, serving: boolean) {
  return { name, mesh: { ipv4, ipv6 }, serving, publicKey: `key ${name}` };
}

function tuple(source: string, destination: string): Tuple {
  const bytes = (text: string): Uint8Array => {
    const whole = new Uint8Array(16);
    whole.set(parseAddress(text)!.address);
    return whole;
  };
  const ports = { sourcePort: 0, destinationPort: 0 };
  return { source: bytes(source), destination: bytes(destination), ...ports };
}

/** Names of the two ends; undefined = it does not cross the mesh. */
function ends(table: FlowSides, from: string, to: string, answers = to) {
  const family = parseAddress(from)!.family;
  const found = table.ends(family, tuple(from, to), tuple(answers, from));
  return found && [found.source?.connector, found.destination?.connector];
}

describe('sides of a flow', () => {
  const table = sides(['10.2.0.0/16', 'b'], ['10.2.7.0/24', 'c'], ['fd02::/64', 'b']);

  test('by the longest prefix, in both directions and families', () => {
    expect(ends(table, '10.1.0.10', '10.2.0.10')).toEqual(['a', 'b']);
    expect(ends(table, '10.2.7.1', '10.1.0.10')).toEqual(['c', 'a']);
    expect(ends(table, 'fd02::1', 'fd00::1')).toEqual(['b', 'a']);
    expect(ends(table, '100.96.0.1', '100.96.0.2')).toEqual(['a', 'b']);
    expect(ends(table, '10.2.0.1', '10.2.7.1')).toEqual(['b', 'c']);
  });

  test('one end of another connector is enough, none is not', () => {
    expect(ends(table, '192.168.1.1', '10.2.0.10')).toEqual([undefined, 'b']);
    expect(ends(table, '10.2.0.10', '203.0.113.1')).toEqual(['b', undefined]);
    expect(ends(table, '10.1.0.10', '203.0.113.1')).toBeUndefined();
    expect(ends(table, '10.1.0.10', '10.1.0.11')).toBeUndefined();
    // Not approved, so not ours, and nobody else's.
    expect(ends(table, '10.9.0.1', '10.1.0.1')).toBeUndefined();
  });

  test('who answers is the true destination', () => {
    expect(ends(table, '10.1.0.10', '10.99.0.1', '10.2.0.10')).toEqual(['a', 'b']);
    expect(ends(table, '10.1.0.10', '10.2.0.10', '10.1.0.9')).toEqual(['a', 'b']);
  });

  test('of the same prefix here and there the preferred one counts', () => {
    expect(ends(sides(['10.50.0.0/16', 'b', 50]), '10.1.0.1', '10.50.0.1')).toEqual(['a', 'b']);
    for (const priority of [100, 200]) {
      const shared = sides(['10.50.0.0/16', 'b', priority]);
      expect(ends(shared, '10.1.0.1', '10.50.0.1')).toBeUndefined();
    }
  });

  test('another netmap: prefixes that come, go and change hands', () => {
    const table = sides(['10.2.0.0/16', 'b'], ['10.3.0.0/16', 'b'], ['10.4.0.0/16', 'b']);
    update(table, ['10.2.0.0/16', 'c'], ['10.4.0.0/16', 'b'], ['10.5.0.0/16', 'c']);
    const owner = (last: number) => ends(table, '10.1.0.1', `10.${last}.0.1`)?.[1];
    expect([2, 3, 4, 5].map(owner)).toEqual(['c', undefined, 'b', 'c']);
    update(table, ['10.3.0.0/16', 'b'], ['10.50.0.0/16', 'c', 1]);
    expect([2, 3, 4, 5, 50].map(owner)).toEqual([undefined, 'b', undefined, undefined, 'c']);
    update(table);
    expect(owner(50)).toBeUndefined();
    expect(table.get('10.50.0.0/16')).toMatchObject({ connector: 'a', remote: false });
  });

  test('a default route takes what a host of the site sends, and not our own datagrams', () => {
    const breakout = sides(['0.0.0.0/0', 'b'], ['10.2.0.0/16', 'b']);
    expect(ends(breakout, '10.1.0.10', '203.0.113.1')).toEqual(['a', 'b']);
    expect(ends(breakout, '192.0.2.7', '203.0.113.1')).toBeUndefined();
    expect(ends(breakout, '10.2.0.1', '203.0.113.1')).toEqual(['b', 'b']);
    expect(breakout.get('0.0.0.0/0')).toMatchObject({ whole: true, connector: 'b' });
    expect(breakout.get('10.0.0.0/8')).toBeUndefined();
  });

  test('who began before his prefix left the mesh crossed it', () => {
    const table = sides(['10.2.0.0/16', 'b'], ['10.3.0.0/16', 'b'], ['10.50.0.0/16', 'b', 50]);
    update(table, ['10.3.0.0/16', 'c']);
    const former = (to: string, start: number) => {
      const found = table.formerEnds(4, tuple('10.1.0.1', to), tuple(to, '10.1.0.1'), start);
      return found && [found.source?.connector, found.destination?.connector];
    };
    for (const start of [0, updates - 1]) {
      expect(former('10.2.0.1', start)).toEqual(['a', 'b']);
      expect(former('10.50.0.1', start)).toEqual(['a', 'b']);
    }
    expect(former('10.2.0.1', updates)).toBeUndefined();
    expect(ends(table, '10.1.0.1', '10.2.0.1')).toBeUndefined();
    // In another's hands it has not left.
    expect(former('10.3.0.1', updates - 1)).toEqual(['a', 'c']);
    table.forget(updates + 60_000);
    expect(former('10.2.0.1', 0)).toEqual(['a', 'b']);
    table.forget(updates + 60_001);
    expect(former('10.2.0.1', 0)).toBeUndefined();
  });

  test('without any netmap only what was is known', () => {
    const table = sides(['10.2.0.0/16', 'b']);
    table.clear(++updates);
    expect(ends(table, '10.1.0.1', '10.2.0.1')).toBeUndefined();
    const there = tuple('10.1.0.1', '10.2.0.1');
    expect(table.formerEnds(4, there, tuple('10.2.0.1', '10.1.0.1'), 0)).toBeDefined();
  });

  test('another default route is ours only where nobody was chosen for it', () => {
    const offers = { own: [['0.0.0.0/0', true, 1] as const], peers: [{ n: 2 }] };
    const table = new FlowSides();
    table.update(netmap(offers), { routeLists: [] }, 1);
    expect(table.get('0.0.0.0/0')).toMatchObject({ remote: false });
    const chosen = sides(['0.0.0.0/0', 'b', 200]);
    expect(chosen.get('0.0.0.0/0')).toMatchObject({ remote: true, connector: 'b' });
  });
});

/** Whose the prefix is by the netmap alone, prefix by prefix. */
function ownerBy(map: Netmap, { routes }: Wanted, text: string): string | undefined {
  const mine = map.self.routes.find(({ prefix, approved }) => approved && prefix === text);
  const other = routes.find((route) => route.text === text);
  if (mine && !(other && other.priority < mine.priority)) return 'home';
  if (text === map.self.mesh.ipv4) return 'home';
  const at = map.peers.find(({ mesh, serving }) => serving && mesh.ipv4 === text);
  return other?.connector ?? at?.name;
}

test('after any changes as if the last netmap had been the first', () => {
  const number = fc.integer({ min: 0, max: 5 });
  const priority = fc.constantFrom(50, 100, 150);
  const claim = fc.tuple(number, priority);
  const site = fc.record({
    n: fc.integer({ min: 2, max: 5 }),
    serving: fc.boolean(),
    claims: fc.uniqueArray(claim, { selector: ([i]) => i, maxLength: 5 }),
  });
  const plan = fc.record({
    peers: fc.uniqueArray(site, { selector: ({ n }) => n, maxLength: 4 }),
    own: fc.uniqueArray(claim, { selector: ([i]) => i, maxLength: 2 }),
  });
  const prefix = (i: number): string => `10.${i}.0.0/16`;
  fc.assert(
    fc.property(fc.array(plan, { minLength: 1, maxLength: 6 }), (plans) => {
      const table = new FlowSides();
      const translator = new NetmapTranslator();
      for (const [at, { peers, own }] of plans.entries()) {
        const map = netmap({
          own: own.map(([i, priority]) => [prefix(i), true, priority]),
          peers: peers.map(({ n, serving, claims }) => {
            return { n, serving, prefixes: claims.map(([i, rank]) => [prefix(i), rank] as const) };
          }),
        });
        const wanted = translator.translate(map, () => ({ endpoint: undefined, all: [] }));
        table.update(map, wanted, at);
        const texts = [0, 1, 2, 3, 4, 5].map(prefix);
        for (const n of [1, 2, 3, 4, 5]) texts.push(`100.96.0.${n}/32`);
        for (const text of texts) {
          const owner = ownerBy(map, wanted, text);
          expect(table.get(text)?.connector, text).toBe(owner);
          const { address } = parsePrefix(text)!;
          expect(table.of(4, address)?.connector, text).toBe(owner);
        }
      }
    }),
  );
});
