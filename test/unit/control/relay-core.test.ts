/** The relay's decisions: each reason once, and any sequence of events against a naive model. */
import fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import {
  DROPPED,
  FOR_EDGE,
  RelayCore,
  type RelayLimits,
} from '../../../src/control/relay/relay-core.ts';
import type { RelayDropReason } from '../../../src/control/relay/relay-drops.ts';
import { ENDPOINT_RECORD_WORDS, InboundVector } from '../../../src/vector.ts';

// Many runs each; the machine may have other work.
vi.setConfig({ testTimeout: 60_000 });

const LIMITS: Partial<RelayLimits> = { capacity: 64, pairs: 64 };

/** A vector of one run. */
const vector = new InboundVector(1, 64, 1 << 16, 2);

function setAddress(words: Int32Array, record: number, host: number, port: number): void {
  words.fill(0, record * ENDPOINT_RECORD_WORDS, (record + 1) * ENDPOINT_RECORD_WORDS);
  words[record * ENDPOINT_RECORD_WORDS] = 4 | (port << 16);
  words[record * ENDPOINT_RECORD_WORDS + 1] = host;
}

interface Run {
  readonly host: number;
  readonly port?: number;
  readonly type?: number;
  readonly to: number;
  readonly count?: number;
  readonly size?: number;
  readonly last?: number;
}

function decide(core: RelayCore, run: Run, now: number): number {
  const { host, port = 1000, type = 4, to, count = 1, size = 96, last = size } = run;
  setAddress(vector.sources.words, 0, host, port);
  vector.head[0] = ((to << 8) | type) >>> 0;
  vector.count[0] = count;
  vector.stride[0] = size;
  vector.lastSize[0] = last;
  vector.source[0] = 0;
  return core.decide(vector, 0, now);
}

function bind(core: RelayCore, relayId: number, host: number, now: number, port = 1000): string {
  const words = new Int32Array(ENDPOINT_RECORD_WORDS);
  setAddress(words, 0, host, port);
  return core.bind(relayId, words, 0, now);
}

/** As `bind`, by a message that proves that the replica can be reached there. */
function prove(core: RelayCore, relayId: number, host: number, now: number, port = 1000): string {
  const words = new Int32Array(ENDPOINT_RECORD_WORDS);
  setAddress(words, 0, host, port);
  return core.bind(relayId, words, 0, now, true);
}

/** Replicas 1 and 2 in vnet 1, 3 in vnet 2, all bound at hosts of their number; 4 is not bound. */
function network(limits: Partial<RelayLimits> = {}): RelayCore {
  const core = new RelayCore(7, { ...LIMITS, ...limits });
  for (const [relayId, vnet] of [
    [1, 1],
    [2, 1],
    [3, 2],
    [4, 1],
  ] as const) {
    expect(core.admit(relayId, vnet)).toBe(true);
    if (relayId !== 4) expect(bind(core, relayId, relayId, 0)).toBe('bound');
  }
  return core;
}

describe('a run of messages', () => {
  test('goes to the binding of its destination, with the source known', () => {
    const core = network();
    const slot = decide(core, { host: 1, to: 2, count: 3, size: 1452, last: 65 }, 1);
    expect(slot).toBeGreaterThanOrEqual(0);
    expect(core.source).toBe(1);
    expect(core.endpoints.words[slot * ENDPOINT_RECORD_WORDS + 1]).toBe(2);
    expect(core.pairs.entries()).toEqual([
      { source: 1, destination: 2, packets: 3, bytes: 2 * 1452 + 65 },
    ]);
  });

  test('is for the edge itself, bound or not', () => {
    const core = network();
    expect(decide(core, { host: 1, to: 0, count: 2, size: 32 }, 1)).toBe(FOR_EDGE);
    expect(decide(core, { host: 1, to: 0, count: 3, size: 48 }, 1)).toBe(FOR_EDGE);
    expect(core.source).toBe(1);
    expect(decide(core, { host: 99, to: 0, type: 1, size: 148 }, 1)).toBe(FOR_EDGE);
    expect(core.source).toBe(0);
  });

  test.each<[RelayDropReason, Run]>([
    ['relay_unknown_type', { host: 1, to: 2, type: 5 }],
    ['relay_unknown_type', { host: 1, to: 0, type: 0, size: 3 }],
    ['relay_bad_length', { host: 1, to: 2, count: 2, size: 96, last: 31 }],
    ['relay_bad_length', { host: 1, to: 2, size: 16 }],
    ['relay_bad_length', { host: 1, to: 2, type: 1, size: 147 }],
    ['relay_bad_length', { host: 1, to: 2, type: 2, count: 2, size: 96, last: 92 }],
    ['relay_bad_length', { host: 1, to: 0, type: 3, size: 65 }],
    ['relay_bad_length', { host: 1, to: 0, size: 47 }],
    ['relay_bad_length', { host: 1, to: 0, size: 64 }],
    ['relay_bad_length', { host: 99, to: 0, count: 2, size: 1_400, last: 32 }],
    ['relay_unbound_source', { host: 99, to: 2 }],
    ['relay_unbound_source', { host: 1, port: 1001, to: 2 }],
    ['relay_unknown_destination', { host: 1, to: 77 }],
    ['relay_unknown_destination', { host: 1, to: 0xff_ffff }],
    ['relay_other_vnet', { host: 1, to: 3 }],
    ['relay_to_itself', { host: 1, to: 1 }],
    ['relay_unbound_destination', { host: 1, to: 4 }],
  ])('%s: %o', (reason, run) => {
    const core = network();
    expect(decide(core, run, 1)).toBe(DROPPED);
    expect(core.drops.entries()).toEqual([[reason, run.count ?? 1]]);
    expect(core.pairs.entries()).toEqual([]);
  });

  test('a pair is refused that the policy allows nothing between, until that is lifted', () => {
    const core = network();
    const rows = [Uint32Array.of(0b01), Uint32Array.of(0b10)];
    core.setPairs('vnet', {
      classes: [
        [1, 0],
        [2, 1],
        [77, 0],
      ],
      rows,
    });
    expect(decide(core, { host: 1, to: 2 }, 1)).toBe(DROPPED);
    expect(core.drops.entries()).toEqual([['relay_denied', 1]]);
    core.setPairs('other', { classes: [], rows: [] });
    expect(decide(core, { host: 1, to: 2 }, 1)).toBe(DROPPED);
    // Somebody new is not restricted until the classes say so.
    core.expel(2);
    core.admit(2, 1);
    bind(core, 2, 2, 1);
    expect(decide(core, { host: 1, to: 2 }, 1)).toBeGreaterThanOrEqual(0);
    core.setPairs('vnet', {
      classes: [
        [1, 0],
        [2, 1],
      ],
      rows,
    });
    expect(decide(core, { host: 2, to: 1 }, 1)).toBe(DROPPED);
    core.setPairs('vnet', undefined);
    expect(decide(core, { host: 1, to: 2 }, 1)).toBeGreaterThanOrEqual(0);
  });

  test('handshake messages have a bucket of their own, and a flood disturbs no other source', () => {
    const core = network({ handshakesPerSecond: 10, handshakeBurst: 3 });
    const initiation = { host: 1, to: 2, type: 1, size: 148 };
    const passed = Array.from({ length: 5 }, () => decide(core, initiation, 1) >= 0);
    expect(passed).toEqual([true, true, true, false, false]);
    expect(core.drops.get('relay_handshake_rate')).toBe(2);
    expect(decide(core, { host: 1, to: 2 }, 1)).toBeGreaterThanOrEqual(0);
    expect(decide(core, { ...initiation, host: 2, to: 1 }, 1)).toBeGreaterThanOrEqual(0);
    expect(decide(core, initiation, 102)).toBeGreaterThanOrEqual(0);
    expect(decide(core, initiation, 102)).toBe(DROPPED);
  });

  test('no source sends more than its allowance over a second', () => {
    const core = network({ bytesPerSecond: 1e6, burst: 50 });
    let bytes = 0;
    for (let i = 0; i < 10_000; i++) {
      if (decide(core, { host: 1, to: 2, size: 1440 }, i / 10) >= 0) bytes += 1440;
    }
    expect(bytes).toBeGreaterThan(1.0e6);
    expect(bytes).toBeLessThan(1.06e6);
    expect(core.drops.get('relay_rate')).toBe(10_000 - bytes / 1440);
  });
});

describe('bindings', () => {
  test('move with the last authenticated message', () => {
    const core = network();
    expect(bind(core, 2, 22, 5)).toBe('moved');
    expect(decide(core, { host: 2, to: 1 }, 6)).toBe(DROPPED);
    expect(decide(core, { host: 22, to: 1 }, 6)).toBeGreaterThanOrEqual(0);
  });

  test('are answered from the address of ours that the last authenticated message came to', () => {
    const core = network();
    const words = new Int32Array(ENDPOINT_RECORD_WORDS);
    setAddress(words, 0, 2, 1000);
    for (const local of [71, 72]) {
      words[6] = local;
      words[10] = local + 10;
      expect(core.bind(2, words, 0, 5)).toBe('same');
      const slot = decide(core, { host: 1, to: 2 }, 6);
      const at = slot * ENDPOINT_RECORD_WORDS;
      expect(core.endpoints.words.slice(at, at + ENDPOINT_RECORD_WORDS)).toEqual(words);
    }
  });

  test('are refused for who is not admitted', () => {
    const core = network();
    expect(bind(core, 50, 50, 1)).toBe('refused');
    core.expel(2);
    expect(bind(core, 2, 2, 1)).toBe('refused');
    expect(decide(core, { host: 2, to: 1 }, 1)).toBe(DROPPED);
    expect(core.drops.entries()).toEqual([['relay_unbound_source', 1]]);
  });

  test('keep their address from all who do not prove that they can be reached there', () => {
    const core = network();
    // Whoever can send with a forged source can authenticate from any address.
    expect(bind(core, 3, 1, 3)).toBe('contested');
    expect(bind(core, 4, 1, 3)).toBe('contested');
    expect([core.isBound(1), core.isBound(3), core.isBound(4)]).toEqual([true, true, false]);
    expect(decide(core, { host: 1, to: 2 }, 4)).toBeGreaterThanOrEqual(0);
    expect(core.source).toBe(1);
    expect(core.pollUnbound(4)).toEqual([]);
    // The one that holds it need not prove anything.
    expect(bind(core, 1, 1, 5)).toBe('same');
  });

  test('go to who proves that, as a NAT may give a port to the next one', () => {
    const core = network();
    expect(prove(core, 2, 1, 3)).toBe('moved');
    expect(core.isBound(1)).toBe(false);
    expect(core.pollUnbound(4)).toEqual([1]);
    expect(core.pollUnbound(5)).toEqual([]);
  });

  test('end when nothing authenticated comes', () => {
    const core = network({ bindingTimeout: 1_000 });
    expect(core.pollTimeout()).toBe(1_000);
    expect(bind(core, 2, 2, 900)).toBe('same');
    expect(core.pollUnbound(1_500)).toEqual([1, 3]);
    expect(core.isBound(2)).toBe(true);
  });

  test('survive a restart', () => {
    const exported = network().exportBindings();
    const core = new RelayCore(99, LIMITS);
    for (const relayId of [1, 3, 4]) core.admit(relayId, 1);
    expect(core.importBindings(exported, 10)).toEqual([1, 3]);
    expect(decide(core, { host: 1, to: 3 }, 11)).toBeGreaterThanOrEqual(0);
    expect(core.importBindings(exported, 12)).toEqual([]);
    expect(core.importBindings(exported.subarray(1), 12)).toEqual([]);
  });

  test('any bytes are imported without an exception, into valid bindings only', () => {
    const header = network().exportBindings().subarray(0, 8);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 208 }), (bytes) => {
        const core = new RelayCore(1, LIMITS);
        for (let i = 1; i < 10; i++) core.admit(i, 1);
        core.importBindings(bytes, 1);
        core.importBindings(new Uint8Array([...header, ...bytes]), 1);
        core.importBindings(core.exportBindings(), 2);
      }),
    );
  });
});

describe('pair counters', () => {
  test('are bounded: what finds no place is counted together', () => {
    const core = new RelayCore(1, { capacity: 64, pairs: 16 });
    for (let id = 1; id <= 20; id++) {
      core.admit(id, 1);
      bind(core, id, id, 0);
    }
    for (let from = 1; from <= 20; from++) {
      for (let to = 1; to <= 20; to++) {
        if (from !== to) decide(core, { host: from, to, size: 32 }, 1);
      }
    }
    const entries = core.pairs.entries();
    expect(entries).toHaveLength(17);
    expect(entries.reduce((sum, { packets }) => sum + packets, 0)).toBe(380);
    for (let id = 2; id <= 20; id++) core.expel(id);
    core.pollUnbound(1);
    expect(core.pairs.entries().filter(({ source }) => source !== 0)).toEqual([]);
  });
});

/** Maps and a straight reading of the rules. */
class Model {
  readonly vnets = new Map<number, number>();
  readonly addresses = new Map<number, string>();

  bind(relayId: number, address: string, proven: boolean): void {
    if (!this.vnets.has(relayId)) return;
    if (!proven && [...this.addresses].some(([id, held]) => held === address && id !== relayId)) {
      return;
    }
    for (const [id, held] of this.addresses) if (held === address) this.addresses.delete(id);
    this.addresses.set(relayId, address);
  }

  decide(address: string, to: number): string {
    const from = [...this.addresses].find(([, held]) => held === address)?.[0];
    if (to === 0) return 'edge';
    if (from === undefined) return 'relay_unbound_source';
    if (!this.vnets.has(to)) return 'relay_unknown_destination';
    if (this.vnets.get(to) !== this.vnets.get(from)) return 'relay_other_vnet';
    if (to === from) return 'relay_to_itself';
    return this.addresses.get(to) ?? 'relay_unbound_destination';
  }
}

test('any sequence of events: as the model', () => {
  const id = fc.integer({ min: 1, max: 12 });
  const host = fc.integer({ min: 1, max: 10 });
  const port = fc.constantFrom(1000, 2000);
  const event = fc.oneof(
    fc.record({ kind: fc.constant('admit' as const), id, vnet: fc.integer({ min: 1, max: 2 }) }),
    fc.record({ kind: fc.constant('expel' as const), id }),
    fc.record({ kind: fc.constant('unbind' as const), id }),
    {
      weight: 3,
      arbitrary: fc.record({
        kind: fc.constantFrom('bind' as const, 'prove' as const),
        id,
        host,
        port,
      }),
    },
    {
      weight: 4,
      arbitrary: fc.record({
        kind: fc.constant('run' as const),
        to: fc.integer({ min: 0, max: 13 }),
        host,
        port,
      }),
    },
  );
  fc.assert(
    fc.property(
      fc.integer(),
      fc.array(event, { minLength: 100, maxLength: 200 }),
      (seed, events) => {
        const core = new RelayCore(seed, { capacity: 12, pairs: 256 });
        const model = new Model();
        for (const event of events) {
          switch (event.kind) {
            case 'admit':
              core.admit(event.id, event.vnet);
              model.vnets.set(event.id, event.vnet);
              break;
            case 'expel':
              core.expel(event.id);
              model.vnets.delete(event.id);
              model.addresses.delete(event.id);
              break;
            case 'unbind':
              core.unbind(event.id);
              model.addresses.delete(event.id);
              break;
            case 'bind':
              bind(core, event.id, event.host, 1, event.port);
              model.bind(event.id, `${event.host}:${event.port}`, false);
              break;
            case 'prove':
              prove(core, event.id, event.host, 1, event.port);
              model.bind(event.id, `${event.host}:${event.port}`, true);
              break;
            case 'run': {
              const before = new Map(core.drops.entries());
              const slot = decide(core, event.to === 0 ? { ...event, size: 32 } : event, 1);
              const words = core.endpoints.words;
              const base = slot * ENDPOINT_RECORD_WORDS;
              const dropped = core.drops.entries().find(([reason, n]) => before.get(reason) !== n);
              const actual =
                slot >= 0
                  ? `${words[base + 1]}:${words[base]! >>> 16}`
                  : slot === FOR_EDGE
                    ? 'edge'
                    : dropped?.[0];
              expect(actual).toBe(model.decide(`${event.host}:${event.port}`, event.to));
            }
          }
          expect(core.size).toBe(model.vnets.size);
        }
        const bound = [...Array(13).keys()].filter((relayId) => core.isBound(relayId));
        expect(bound).toEqual([...model.addresses.keys()].toSorted((a, b) => a - b));
      },
    ),
    { numRuns: 200 },
  );
}, 30_000);
