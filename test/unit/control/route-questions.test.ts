/** What operators ask of the routes, on one small network drawn here:
 *
 *   default   hq  10.0.0.0/8, 10.1.0.0/16 (priority 200)     site  10.1.0.0/16, 10.1.2.0/24 (pending)
 *   lab       lab 10.1.0.0/16
 */
import { beforeAll, describe, expect, test } from 'vitest';
import type { Route } from '../../../src/control/model.ts';
import { createVnet } from '../../../src/control/registry/vnets.ts';
import {
  checkCidr,
  getIp,
  listRoutes,
  overlaps,
  type RouteFilter,
  routeStatus,
} from '../../../src/control/route-questions.ts';
import { parseAddress } from '../../../src/routing/address.ts';
import { parsePrefix } from '../../../src/routing/prefix.ts';
import { RegistryWorld } from './registry-world.ts';

let world: RegistryWorld;
let bound: Set<string>;
const isBound = (id: string): boolean => bound.has(id);

beforeAll(async () => {
  world = await RegistryWorld.open();
  await world.change((view) => createVnet(view, { name: 'lab' }, world.context));
  const low = { prefix: '10.1.0.0/16', priority: 200 };
  const hq = await world.connector('hq', { routes: [{ prefix: '10.0.0.0/8' }, low] });
  const site = await world.connector('site', { routes: [{ prefix: '10.1.0.0/16' }] });
  await world.connector('lab', { vnet: 'lab', routes: [{ prefix: '10.1.0.0/16' }] });
  const replicas = [await world.replica(hq, 1), await world.replica(site, 2, ['10.1.2.0/24'])];
  bound = new Set(replicas.map(({ id }) => id));
});

const named = (route: Route | undefined): string | undefined =>
  route && `${world.view.connectors.get(route.connector)!.name} ${route.prefix} ${route.priority}`;
const address = (text: string): Uint8Array => parseAddress(text)!.address;
const prefix = (text: string) => parsePrefix(text)!;
const vnet = (name: string) => world.view.findVnet(name)!.id;

describe('get', () => {
  test('the longest match of each network, with what would have it otherwise', () => {
    const answers = getIp(world.view, address('10.1.2.3'), undefined, isBound);
    expect(answers.map(({ route, serving }) => [named(route), serving])).toEqual([
      ['site 10.1.0.0/16 100', true],
      ['lab 10.1.0.0/16 100', false],
    ]);
    expect(answers[0]!.alternatives.map(named)).toEqual([
      'hq 10.1.0.0/16 200',
      'hq 10.0.0.0/8 100',
    ]);
    expect(getIp(world.view, address('10.1.2.3'), vnet('lab'), isBound)).toHaveLength(1);
    expect(getIp(world.view, address('192.0.2.1'), undefined, isBound)).toEqual([]);
  });

  test('a mesh IP of either family', () => {
    for (const [text, host] of [
      ['100.96.0.2', '100.96.0.2/32'],
      ['fd00::2', 'fd00::2/128'],
    ] as const) {
      const [answer] = getIp(world.view, address(text), undefined, isBound);
      expect(answer).toMatchObject({ connector: { name: 'site' }, prefix: host, serving: true });
      expect(answer!.route).toBeUndefined();
    }
    for (const text of ['100.96.0.9', 'fd00::1:0:0:2', 'fd00::9', '100.96.0.0']) {
      expect(getIp(world.view, address(text), undefined, isBound)).toEqual([]);
    }
  });
});

test('check: what carries all of it, and everything that overlaps', () => {
  const [answer, lab] = checkCidr(world.view, prefix('10.1.0.0/15'), undefined);
  expect(named(answer!.reachedBy)).toBe('hq 10.0.0.0/8 100');
  expect(answer!.overlapping.map(named)).toEqual([
    'hq 10.0.0.0/8 100',
    'site 10.1.0.0/16 100',
    'hq 10.1.0.0/16 200',
    'site 10.1.2.0/24 100',
  ]);
  expect(lab!.reachedBy).toBeUndefined();
  expect(checkCidr(world.view, prefix('192.0.2.0/24'), undefined)).toEqual([]);
  expect(checkCidr(world.view, prefix('192.0.2.0/24'), vnet('lab'))).toMatchObject([
    { overlapping: [] },
  ]);
});

test('overlaps: every pair, over networks, as a look at all pairs finds them', () => {
  const found = overlaps(world.view, undefined);
  expect(found.overlaps).toHaveLength(10);
  expect(overlaps(world.view, vnet('default')).overlaps).toHaveLength(6);
  expect(overlaps(world.view, vnet('lab')).overlaps).toEqual([]);
  expect(overlaps(world.view, undefined, 3)).toMatchObject({ truncated: true });
  for (const { outer, inner } of found.overlaps) {
    expect(prefix(outer.prefix).length).toBeLessThanOrEqual(prefix(inner.prefix).length);
  }
});

test('lists by any filter', () => {
  const list = (filter: RouteFilter): (string | undefined)[] =>
    listRoutes(world.view, filter, isBound).map(named);
  expect(list({})).toHaveLength(5);
  expect(list({ vnet: vnet('lab') })).toEqual(['lab 10.1.0.0/16 100']);
  expect(list({ connector: world.view.findConnector('hq')!.id })).toHaveLength(2);
  expect(list({ subsetOf: prefix('10.1.2.0/23') })).toEqual(['site 10.1.2.0/24 100']);
  expect(list({ supersetOf: prefix('10.2.0.0/16') })).toEqual(['hq 10.0.0.0/8 100']);
  expect(list({ state: 'pending' })).toEqual(['site 10.1.2.0/24 100']);
  expect(list({ state: 'advertised' })).toEqual(['site 10.1.2.0/24 100']);
  expect(list({ state: 'approved' })).toHaveLength(4);
  expect(list({ state: 'serving' })).toEqual(['hq 10.0.0.0/8 100', 'site 10.1.0.0/16 100']);
});

test('a route serves only while its connector does', () => {
  const [route] = listRoutes(world.view, { supersetOf: prefix('10.2.0.0/16') }, isBound);
  expect(routeStatus(world.view, route!, isBound).state).toBe('serving');
  expect(routeStatus(world.view, route!, () => false).state).toBe('approved');
});
