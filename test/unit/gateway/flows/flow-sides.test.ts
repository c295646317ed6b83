/** Whose an address is, and which connections cross the mesh. */
import { describe, expect, test } from 'vitest';
import type { Netmap } from '../../../../src/control/netmap.ts';
import { FlowSides } from '../../../../src/gateway/flows/flow-sides.ts';
import type { Wanted } from '../../../../src/gateway/mesh/netmap-translation.ts';
import { parseAddress } from '../../../../src/routing/address.ts';
import { parsePrefix } from '../../../../src/routing/prefix.ts';
import type { Tuple } from '../../../../src/tun/conntrack-messages.ts';

const own = (prefix: string, approved = true, priority = 100) => ({ prefix, approved, priority });

type RouteText = [prefix: string, connector: string, priority?: number];

function sides(...routes: RouteText[]): FlowSides {
  const made = new FlowSides();
  update(made, ...routes);
  return made;
}

function update(made: FlowSides, ...routes: RouteText[]): void {
  const netmap = {
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
  const wanted = routes.map(([text, connector, priority = 100]) => {
    return { text, prefix: parsePrefix(text)!, connector, priority, publicKey: `key ${connector}` };
  });
  made.update(netmap as unknown as Netmap, { routes: wanted } as unknown as Wanted);
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
});
