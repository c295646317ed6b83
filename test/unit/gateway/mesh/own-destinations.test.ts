/** What may come out of the mesh, from netmap to netmap: the changes add up to the list of each. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatAllowedIp } from '../../../../src/gateway/allowed-ip-records.ts';
import { OwnDestinations } from '../../../../src/gateway/mesh/own-destinations.ts';
import { ALLOWED_IP_RECORD } from '../../../../src/wireguard/configuration.ts';
import { netmap } from './netmaps.ts';

const MESH = ['100.96.0.1/32', 'fd00::1/128'];
type Own = readonly (readonly [prefix: string, approved: boolean])[];
const selfWith = (own: Own) => netmap({ own }).self;

/** As the data plane applies it. */
function applied(list: Set<string>, records: Uint8Array | undefined): void {
  for (let at = 0; at < (records?.length ?? 0); at += ALLOWED_IP_RECORD) {
    const text = formatAllowedIp(records!, at);
    if (records![at] === 0) list.add(text);
    else expect(list.delete(text)).toBe(true);
  }
}

test('mesh IPs, approved prefixes, and default routes while the kernel has their rules', () => {
  const texts = ['10.1.0.0/24', '10.1.1.0/24', 'fd01::/64', '0.0.0.0/0', '::/0'];
  const plan = fc.record({
    own: fc.array(fc.tuple(fc.constantFrom(...texts), fc.boolean()), { maxLength: 5 }),
    hasRules: fc.boolean(),
    gone: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(plan, { minLength: 1, maxLength: 6 }), (plans) => {
      let hasRules = false;
      const destinations = new OwnDestinations(() => hasRules);
      const list = new Set<string>();
      for (const { own, gone, ...kernel } of plans) {
        const self = gone ? undefined : selfWith([...new Map(own)]);
        const approved = self?.routes.flatMap((route) => (route.approved ? [route.prefix] : []));
        const wanted = (isOpen: (text: string) => boolean): string[] =>
          self === undefined
            ? []
            : [...MESH, ...approved!.filter((text) => !text.endsWith('/0') || isOpen(text))];
        const before = new Set(list);
        applied(list, destinations.prepare(self)?.destinations);
        expect([...list].sort()).toEqual(wanted((text) => before.has(text)).sort());
        ({ hasRules } = kernel);
        applied(list, destinations.follow(self)?.destinations);
        expect([...list].sort()).toEqual(wanted(() => hasRules).sort());
      }
    }),
  );
});

test('the first change switches the list on, and what is the same is no change', () => {
  let hasRules = false;
  const destinations = new OwnDestinations(() => hasRules);
  expect(destinations.follow(undefined)?.destinations).toHaveLength(0);
  expect(destinations.follow(undefined)).toBeUndefined();
  const self = selfWith([['0.0.0.0/0', true]]);
  expect(destinations.prepare(self)?.destinations).toHaveLength(2 * ALLOWED_IP_RECORD);
  expect(destinations.follow(self)).toBeUndefined();
  expect(destinations.follow({ ...self })).toBeUndefined();
  hasRules = true;
  expect(destinations.follow(self)?.destinations).toHaveLength(ALLOWED_IP_RECORD);
  expect(destinations.follow(self)).toBeUndefined();
  expect(destinations.prepare(self)).toBeUndefined();
});

test.each([
  ['a way out of one family', ['0.0.0.0/0'], true],
  ['a way out without its rules', ['0.0.0.0/0', '::/0'], false],
  ['one that uses a way out', [], true],
])('what stays the same is not read again, at %s', (_, defaults, hasRules) => {
  const own = ['10.1.0.0/24', ...defaults].map((text) => [text, true] as const);
  let reads = 0;
  const { routes, ...rest } = selfWith(own);
  const self = {
    ...rest,
    get routes() {
      reads++;
      return routes;
    },
  };
  const destinations = new OwnDestinations(() => hasRules);
  destinations.prepare(self);
  destinations.follow(self);
  const before = reads;
  for (let delta = 0; delta < 3; delta++) {
    expect(destinations.prepare(self)).toBeUndefined();
    expect(destinations.follow(self)).toBeUndefined();
  }
  expect(reads).toBe(before);
});
