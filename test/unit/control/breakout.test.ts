/** Who takes a gateway's Internet traffic: by the rule, and against a search through all who could; who uses whom, by the registry. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  BREAKOUT_FAMILIES,
  type BreakoutOffer,
  type BreakoutWish,
  chooseBreakout,
  NO_BREAKOUT,
} from '../../../src/control/breakout.ts';
import { removeReplica } from '../../../src/control/registry/replicas.ts';
import { advertiseRoutes } from '../../../src/control/registry/routes.ts';
import { breakoutUsers } from '../../../src/control/route-questions.ts';
import { RegistryWorld } from './registry-world.ts';

const hq: BreakoutOffer = { id: 'id-hq', name: 'hq', families: [4] };
const dc: BreakoutOffer = { id: 'id-dc', name: 'dc', families: [4, 6] };
const wish = (more: Partial<BreakoutWish>): BreakoutWish => ({ ...NO_BREAKOUT, ...more });

test('offers alone lead nobody anywhere', () => {
  const own = { kind: 'own' };
  expect(chooseBreakout(NO_BREAKOUT, [hq, dc])).toEqual({ 4: own, 6: own });
});

test('each family by itself, the first who offers it, by name or id', () => {
  const by = (offer: BreakoutOffer) => ({ kind: 'through', by: offer, orElse: 'refuse' });
  const chosen = chooseBreakout(wish({ connectors: ['hq', 'id-dc'] }), [dc, hq]);
  expect(chosen).toEqual({ 4: by(hq), 6: by(dc) });
});

test('nobody offers it: refused, unless its own way was said', () => {
  const connectors = ['hq', 'nobody'];
  const kinds = (fallback: 'refuse' | 'own', families: (4 | 6)[] = [4, 6]): string[] => {
    const ways = chooseBreakout(wish({ connectors, fallback, families }), [hq]);
    return [ways[4].kind, ways[6].kind];
  };
  expect(kinds('refuse')).toEqual(['through', 'refused']);
  expect(kinds('own')).toEqual(['through', 'own']);
  expect(kinds('refuse', [6])).toEqual(['own', 'refused']);
  expect(kinds('refuse', [])).toEqual(['own', 'own']);
});

test('never by who does not offer it or was not named, nor by one behind another who could', () => {
  const names = ['a', 'b', 'c', 'd'];
  const families = fc.subarray([4, 6] as const);
  const offers = fc
    .tuple(fc.subarray(names), fc.infiniteStream(families))
    .map(([some, streams]) =>
      some.map((name) => ({ id: `id-${name}`, name, families: streams.next().value! })),
    );
  const wishes = fc.record({
    connectors: fc.shuffledSubarray(names),
    families: families.map((some) => [...some]),
    fallback: fc.constantFrom('refuse' as const, 'own' as const),
  });
  fc.assert(
    fc.property(wishes, offers, (wanted, some) => {
      const ways = chooseBreakout(wanted, some);
      for (const family of BREAKOUT_FAMILIES) {
        const able = some.filter((offer) => offer.families.includes(family));
        const ranks = able.map(({ name }) => wanted.connectors.indexOf(name)).filter((i) => i >= 0);
        const way = ways[family];
        if (!wanted.families.includes(family) || ranks.length === 0) {
          const asked = wanted.families.includes(family) && wanted.connectors.length > 0;
          expect(way.kind).toBe(asked && wanted.fallback === 'refuse' ? 'refused' : 'own');
        } else {
          const best = wanted.connectors[Math.min(...ranks)];
          expect(way.kind === 'through' && way.by.name).toBe(best);
        }
      }
    }),
  );
});

test('the edge knows by whom whose Internet traffic leaves, as the serving replicas said', async () => {
  const world = await RegistryWorld.open();
  const route = { prefix: '0.0.0.0/0', allowDefault: true };
  const made = new Map<string, Awaited<ReturnType<RegistryWorld['replica']>>>();
  for (const [i, name] of ['hq', 'dc', 'site'].entries()) {
    const routes = name === 'site' ? [] : [route];
    made.set(name, await world.replica(await world.connector(name, { routes }), i + 1));
  }
  const users = (): string[][] =>
    [...world.view.routes.values()].map((one) => {
      const { name } = world.view.connectors.get(one.connector)!;
      return [name, ...breakoutUsers(world.view, one)];
    });
  expect(users()).toEqual([['hq'], ['dc']]);
  const breakout = { ...NO_BREAKOUT, connectors: ['nobody', 'dc', 'hq'], families: [4 as const] };
  const told = { prefixes: [], breakout };
  const site = made.get('site')!.id;
  await world.change((view) => advertiseRoutes(view, site, told, world.context));
  expect(users()).toEqual([['hq'], ['dc', 'site']]);
  await world.change((view) => removeReplica(view, made.get('dc')!.id));
  expect(users()).toEqual([['hq', 'site'], ['dc']]);
  await world.change((view) => advertiseRoutes(view, site, { prefixes: [] }, world.context));
  expect(users()).toEqual([['hq'], ['dc']]);
});
