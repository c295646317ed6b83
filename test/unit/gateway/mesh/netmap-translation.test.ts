/** Netmaps into changes of a device: against the model of a device that takes them. */
import { x25519 } from '@noble/curves/ed25519.js';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { NO_BREAKOUT } from '../../../../src/control/breakout.ts';
import type { Netmap, NetmapPeer } from '../../../../src/control/netmap.ts';
import { formatAllowedIp } from '../../../../src/gateway/allowed-ip-records.ts';
import { formatEndpoint, parseEndpoint } from '../../../../src/gateway/endpoint-text.ts';
import { BreakoutChoice } from '../../../../src/gateway/mesh/breakout-choice.ts';
import {
  changeBetween,
  NetmapTranslator,
  type Wanted,
} from '../../../../src/gateway/mesh/netmap-translation.ts';
import { TunnelConfiguration } from '../../../../src/gateway/tunnel-configuration.ts';
import { keyToBase64 } from '../../../../src/keys.ts';
import { formatPrefix } from '../../../../src/routing/prefix.ts';
import { ALLOWED_IP_RECORD } from '../../../../src/wireguard/configuration.ts';
import { edge, keyText, netmap, type PeerPlan, uuid } from './netmaps.ts';

function translate(
  map: Netmap,
  breakout: readonly string[] = [],
  silent: readonly string[] = [],
  translator = new NetmapTranslator(),
): Wanted {
  const edgeOf = (id: string) => {
    const { endpoints } = map.edges.find((one) => one.id === id)!;
    const all = endpoints.flatMap((text) => parseEndpoint(text, () => undefined) ?? []);
    return { endpoint: all[0], all };
  };
  const choice = new BreakoutChoice({ ...NO_BREAKOUT, connectors: breakout });
  choice.look(map, (key) => silent.includes(key));
  return translator.translate(map, edgeOf, choice);
}

class Model {
  readonly #configuration = new TunnelConfiguration((key) => x25519.getPublicKey(key));
  readonly #translator = new NetmapTranslator();
  #wanted: Wanted | undefined;
  /** Peers that the last change named. */
  touched = 0;

  take(map: Netmap): void {
    const wanted = translate(map, [], [], this.#translator);
    const change = changeBetween(this.#wanted, wanted);
    this.#wanted = wanted;
    this.touched = change?.peers.length ?? 0;
    if (change === undefined) return;
    this.#configuration.check(change);
    this.#configuration.apply(change);
  }

  /** What is routed into the interface, and by whom. */
  get routes(): unknown {
    const { routed = [], routes = [] } = this.#wanted ?? {};
    return { routed, routes };
  }

  /** Public key → what it has. */
  peers(): Record<string, { endpoint: string; keepalive: number; allowedIps: string[] }> {
    const statistics = { listenPort: 0, drops: [], crypto: 'noble', offloads: [] } as const;
    const { peers } = this.#configuration.snapshot('mesh0', statistics, () => undefined);
    return Object.fromEntries(
      peers.map(({ publicKey, endpoint, persistentKeepalive, allowedIps }) => {
        const count = allowedIps.length / ALLOWED_IP_RECORD;
        const texts = Array.from({ length: count }, (_, i) =>
          formatAllowedIp(allowedIps, i * ALLOWED_IP_RECORD),
        );
        const where = endpoint && `${formatEndpoint(endpoint)} #${endpoint.relayId ?? 0}`;
        return [
          keyToBase64(publicKey),
          { endpoint: where ?? '', keepalive: persistentKeepalive, allowedIps: texts.sort() },
        ];
      }),
    );
  }
}

describe('one netmap', () => {
  test('edges are kept alive without allowed IPs; replicas are behind the first of them', () => {
    const model = new Model();
    const edges = [edge(1, '192.0.2.1:2408', '[2001:db8::1]:2408'), edge(2, '192.0.2.2:2408')];
    model.take(
      netmap({
        edges,
        peers: [
          { n: 2, prefixes: [['10.2.0.0/24']] },
          { n: 3, serving: false },
        ],
      }),
    );
    expect(model.peers()).toEqual({
      [keyText(2_001)]: { endpoint: '192.0.2.1:2408 #0', keepalive: 20, allowedIps: [] },
      [keyText(2_002)]: { endpoint: '192.0.2.2:2408 #0', keepalive: 20, allowedIps: [] },
      [keyText(2)]: {
        endpoint: '192.0.2.1:2408 #2',
        keepalive: 0,
        allowedIps: ['10.2.0.0/24', '100.96.0.2/32', 'fd00::2/128'],
      },
      [keyText(3)]: { endpoint: '192.0.2.1:2408 #3', keepalive: 0, allowedIps: [] },
    });
    const relays = translate(netmap({ edges })).relays.map(formatEndpoint);
    expect(relays).toEqual(['192.0.2.1:2408', '[2001:db8::1]:2408', '192.0.2.2:2408']);
  });

  test('of equal prefixes the lowest priority value wins', () => {
    const { routes } = translate(
      netmap({
        peers: [
          { n: 2, prefixes: [['10.0.0.0/8', 200]] },
          { n: 3, prefixes: [['10.0.0.0/8', 50]] },
          { n: 4, prefixes: [['10.0.0.0/8', 100]] },
        ],
      }),
    );
    expect(routes).toMatchObject([
      { text: '10.0.0.0/8', connector: 'site-3', priority: 50, publicKey: keyText(3) },
    ]);
  });

  test('a prefix that is ours and preferred is not routed into the mesh', () => {
    const routed = (own: number, approved: boolean): string[] =>
      translate(
        netmap({
          own: [['10.0.0.0/8', approved, own]],
          peers: [{ n: 2, prefixes: [['10.0.0.0/8']] }],
        }),
      ).routed.flatMap(({ prefixes }) => prefixes.map(formatPrefix));
    expect(routed(50, true)).toEqual(['100.96.0.0/12', 'fd00::/48']);
    expect(routed(150, true)).toContain('10.0.0.0/8');
    expect(routed(50, false)).toContain('10.0.0.0/8');
  });

  test("a default route is the chosen connector's alone, whatever its priority", () => {
    const map = netmap({
      own: [['0.0.0.0/0', true, 1]],
      peers: [
        { n: 2, prefixes: [['0.0.0.0/0', 50]] },
        { n: 3, prefixes: [['0.0.0.0/0', 100], ['10.3.0.0/24']] },
        { n: 4, serving: false },
      ],
    });
    const defaults = ({ peers, routed }: Wanted): unknown[] => [
      [...peers.values()].map(({ allowedIps }) => allowedIps.has('0.0.0.0/0')),
      routed.flatMap(({ prefixes }) => prefixes.map(formatPrefix)).includes('0.0.0.0/0'),
    ];
    expect(defaults(translate(map))).toEqual([[false, false, false, false], false]);
    const chosen = translate(map, ['site-4', 'site-3', 'site-2']);
    expect(defaults(chosen)).toEqual([[false, false, true, false], true]);
    expect(chosen.breakout).toMatchObject({ 4: { kind: 'through' }, 6: { kind: 'refused' } });
    expect(chosen.routes).toContainEqual(expect.objectContaining({ text: '0.0.0.0/0' }));
    // Who is silent is passed over.
    const other = translate(map, ['site-3', 'site-2'], [keyText(3)]);
    expect(other.breakout[4]).toMatchObject({ kind: 'through', by: { name: 'site-2' } });
    expect(translate(map, ['site-3'], [keyText(3)]).breakout[4]).toEqual({ kind: 'refused' });
    const before = translate(map, ['site-2']);
    const keys = changeBetween(before, chosen)!.peers.map(({ publicKey }) =>
      keyToBase64(publicKey),
    );
    expect(keys.sort()).toEqual([keyText(2), keyText(3)].sort());
  });

  test('an edge whose name has no address leaves its peers without endpoint', () => {
    const map = netmap({ edges: [edge(1, 'edge.example:2408')], peers: [{ n: 2 }] });
    const model = new Model();
    model.take(map);
    expect(model.peers()[keyText(2)]!.endpoint).toBe('');
  });
});

describe('from one netmap to the next', () => {
  const base: PeerPlan[] = [
    { n: 2, prefixes: [['10.2.0.0/24'], ['10.20.0.0/24']] },
    { n: 3, prefixes: [['10.3.0.0/24']] },
    { n: 4 },
  ];

  test('nothing changed: nothing to do', () => {
    const wanted = translate(netmap({ peers: base }));
    expect(changeBetween(wanted, translate(netmap({ revision: 2, peers: base })))).toBeUndefined();
  });

  test('only what changed is named', () => {
    const model = new Model();
    model.take(netmap({ peers: base }));
    const rest = base.slice(1);
    model.take(netmap({ peers: [{ n: 2, prefixes: [['10.2.0.0/24']] }, ...rest] }));
    expect(model.touched).toBe(1);
    model.take(netmap({ peers: [{ n: 2, prefixes: [['10.2.0.0/24']] }, ...rest, { n: 5 }] }));
    expect(model.touched).toBe(1);
    model.take(netmap({ peers: [...rest, { n: 5 }] }));
    expect(model.touched).toBe(1);
  });

  test('a prefix moves to another connector', () => {
    const model = new Model();
    model.take(netmap({ peers: base }));
    model.take(
      netmap({
        peers: [
          { n: 2, prefixes: [['10.2.0.0/24']] },
          { n: 3, prefixes: [['10.20.0.0/24'], ['10.3.0.0/24']] },
          { n: 4 },
        ],
      }),
    );
    expect(model.peers()[keyText(2)]!.allowedIps).not.toContain('10.20.0.0/24');
    expect(model.peers()[keyText(3)]!.allowedIps).toContain('10.20.0.0/24');
  });

  test('an edge moves: it and all that is behind it follow', () => {
    const model = new Model();
    model.take(netmap({ peers: base }));
    model.take(netmap({ peers: base, edges: [edge(1, '198.51.100.9:2408')] }));
    expect(Object.values(model.peers()).every(({ endpoint }) => endpoint.startsWith('198.'))).toBe(
      true,
    );
  });

  test('any sequence of netmaps leaves what the last one alone would', () => {
    const prefixes = ['10.0.0.0/8', '10.1.0.0/16', '10.2.0.0/16', 'fd01::/64', '0.0.0.0/0'];
    const peerPlan = fc.record({
      n: fc.integer({ min: 2, max: 9 }),
      serving: fc.boolean(),
      prefixes: fc.uniqueArray(
        fc.tuple(fc.constantFrom(...prefixes), fc.integer({ min: 1, max: 60_000 })),
        { selector: ([prefix]) => prefix },
      ),
    });
    const plan = fc.record({
      peers: fc.uniqueArray(peerPlan, { selector: ({ n }) => n }).map((peers) =>
        // No two have the same prefix with the same priority: the registry sees to it.
        peers.map(({ n, serving, prefixes: own }) => ({
          n,
          serving,
          prefixes: serving ? own.map(([prefix, i]) => [prefix, i * 10 + (n % 10)] as const) : [],
        })),
      ),
      port: fc.constantFrom(2408, 2409),
    });
    fc.assert(
      fc.property(fc.array(plan, { minLength: 1, maxLength: 6 }), (plans) => {
        const maps = plans.map(({ peers, port }) =>
          netmap({
            peers: peers.map((one) => ({
              ...one,
              prefixes: one.prefixes.map(([prefix, i]) => [prefix, i % 65_536] as const),
            })),
            edges: [edge(1, `192.0.2.1:${port}`)],
          }),
        );
        const model = new Model();
        const known = new Map<string, NetmapPeer>();
        for (const map of maps) {
          // As `applyDelta` does it: what does not change is the same object.
          const same = map.peers.map((peer) => known.get(JSON.stringify(peer)) ?? peer);
          for (const peer of same) known.set(JSON.stringify(peer), peer);
          model.take({ ...map, peers: same });
          const fresh = new Model();
          fresh.take(map);
          expect(model.peers()).toEqual(fresh.peers());
          expect(model.routes).toEqual(fresh.routes);
        }
      }),
      { numRuns: 200 },
    );
  });

  test('a change among ten thousand routes costs what it changes, not what there is', () => {
    const peers = Array.from({ length: 100 }, (_, i) => ({
      n: i + 2,
      prefixes: Array.from({ length: 100 }, (_, k) => [`10.${i}.${k}.0/24`] as const),
    }));
    const before = netmap({ peers });
    const first = translate(before);
    // As `applyDelta` does it: the objects of the other peers stay.
    const after = { ...before, revision: 2, peers: before.peers.slice(1) };
    // The shortest of several: what else the machine does meanwhile can only make it longer.
    const times = Array.from({ length: 5 }, () => {
      const started = performance.now();
      expect(changeBetween(first, translate(after))?.peers).toHaveLength(1);
      return performance.now() - started;
    });
    expect(Math.min(...times)).toBeLessThan(500);
  });
});

test('ids of the plans are valid', () => {
  expect(uuid(1)).toMatch(/^[0-9a-f-]{36}$/);
});
