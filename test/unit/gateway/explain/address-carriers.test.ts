/** One pass over a netmap says of an address what the index of all its prefixes says. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Netmap } from '../../../../src/control/netmap.ts';
import { ownersOfNetmap } from '../../../../src/control/policy/compile.ts';
import { findCarriers } from '../../../../src/gateway/explain/address-carriers.ts';
import { CONNECTORS, flows, holders } from '../../control/policy/policy-world.ts';

/** The first holder is who has the netmap. */
function netmapOf(world: readonly { connector: string; prefixes: readonly string[] }[]): Netmap {
  const [self, ...peers] = world.map(({ connector, prefixes }) => {
    const [ipv4, ipv6] = ['/32', '/128'].map((end) =>
      prefixes.find((text) => text.endsWith(end) && /^(100\.|fd99)/.test(text)),
    );
    const rest = prefixes.filter((text) => text !== ipv4 && text !== ipv6);
    return { connector, mesh: { ipv4, ipv6 }, rest };
  });
  return {
    self: {
      ...{ connector: self!.connector, mesh: self!.mesh },
      routes: self!.rest.map((prefix) => ({ prefix, approved: true })),
    },
    peers: peers.map(({ rest, ...peer }) => ({
      ...peer,
      prefixes: rest.map((prefix) => ({ prefix, priority: 100 })),
    })),
  } as unknown as Netmap;
}

test('the same as the index', () => {
  expect(CONNECTORS).toHaveLength(4);
  fc.assert(
    fc.property(holders, flows, (world, { source, destination }) => {
      const netmap = netmapOf(world);
      const index = ownersOfNetmap(netmap);
      for (const address of [source, destination]) {
        const { owners, carriers } = findCarriers(netmap, address);
        expect([...owners].sort()).toEqual([...index.ownersOf(address)].sort());
        expect([...carriers].sort()).toEqual([...index.carriersOf(address)].sort());
      }
    }),
    { numRuns: 1_000 },
  );
});
