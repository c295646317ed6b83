/** The rule of the one-way detector in virtual time: what is a finding, what is none, what ends one. */
import { describe, expect, test } from 'vitest';
import {
  type Direction,
  OneWayDetector,
  type Target,
} from '../../../../src/gateway/flows/one-way.ts';

const LAN: Target = { prefix: '10.2.0.0/24', connector: 'b', publicKey: 'KEY' };
const LOOK = 1_000;

interface Flow {
  readonly key: number;
  readonly host: number;
  readonly origin?: number;
  readonly answered?: boolean;
}

class World {
  readonly detector = new OneWayDetector();
  now = 1_000_000;
  flows: Flow[] = [];
  /** Bytes that the peer has sent. */
  heard = 0;
  /** What it sends between two looks. */
  speaks = 32;
  readonly #direction: Direction;

  constructor(direction: Direction = 'out') {
    this.#direction = direction;
  }

  look(): void {
    this.now += LOOK;
    this.heard += this.speaks;
    this.detector.beginLook(this.now);
    for (const { key, host, origin = 1, answered } of this.flows) {
      if (answered) this.detector.noteAnswered(this.#direction, LAN, key, host);
      else {
        const name = (): string => `host ${host}`;
        this.detector.noteSilent(this.#direction, LAN, { key, host, origin }, name);
      }
    }
    this.detector.endLook(() => this.heard);
  }

  /** Findings after so many ms. */
  after(ms: number) {
    for (let i = 0; i < ms / LOOK; i++) this.look();
    return this.detector.findings();
  }
}

const silent = (...hosts: number[]): Flow[] => hosts.map((host, i) => ({ key: 100 + i, host }));
const answered = (key: number, host: number): Flow => ({ key, host, answered: true });

describe('one-way detector', () => {
  test('three connections to two hosts that are not answered are a finding', () => {
    const world = new World();
    world.flows = silent(10, 11, 10);
    expect(world.after(4_000)).toEqual([]);
    expect(world.detector.isAlert).toBe(true);
    expect(world.after(2_000)).toEqual([
      {
        ...LAN,
        ...{ direction: 'out', about: 'prefix', flows: 3, hosts: 2, known: false },
        ...{ named: ['host 10', 'host 11'], since: 1_001_000 },
      },
    ]);
  });

  test('one dead host is none, however many ask for it', () => {
    const world = new World();
    world.flows = Array.from({ length: 50 }, (_, i) => ({ key: i, host: 10, origin: i }));
    expect(world.after(600_000)).toEqual([]);
  });

  test('two connections are none', () => {
    const world = new World();
    world.flows = silent(10, 11);
    expect(world.after(600_000)).toEqual([]);
  });

  test('a scan of a prefix is none', () => {
    const world = new World();
    world.flows = silent(...Array.from({ length: 200 }, (_, i) => i));
    expect(world.after(600_000)).toEqual([]);
    // Others besides the scanner are.
    world.flows = [
      ...world.flows.slice(0, 100),
      ...[500, 501, 502].map((key) => ({ key, host: key, origin: 2 })),
    ];
    expect(world.after(6_000)).toMatchObject([{ flows: 3, hosts: 3 }]);
  });

  test('hosts that never answered are none where others have', () => {
    const world = new World();
    world.flows = [answered(1, 20), ...silent(10, 11, 12)];
    expect(world.after(600_000)).toEqual([]);
    // One that has answered is silent now as well.
    world.flows = [...silent(10, 11, 12), { key: 300, host: 20 }];
    expect(world.after(6_000)).toMatchObject([{ flows: 4, hosts: 4, known: true }]);
  });

  test('an old connection that was answered once says nothing of now', () => {
    const world = new World();
    world.flows = [answered(1, 20)];
    world.look();
    world.flows = [
      answered(1, 20),
      { key: 2, host: 20 },
      { key: 3, host: 20 },
      { key: 4, host: 21 },
    ];
    expect(world.after(6_000)).toMatchObject([{ about: 'prefix', known: true }]);
  });

  test('some silent hosts among new connections that are answered are none', () => {
    const world = new World();
    for (let i = 0; i < 600; i++) {
      world.flows = [...silent(10, 11, 12), answered(1_000 + i, 20), answered(999 + i, 10)];
      expect(world.after(LOOK)).toEqual([]);
    }
  });

  test('an answer ends it, and what was silent until then does not count any more', () => {
    const world = new World();
    world.flows = silent(10, 11, 12);
    expect(world.after(8_000)).toHaveLength(1);
    // The same connection, answered at last.
    world.flows = [answered(100, 10), ...silent(10, 11, 12).slice(1)];
    expect(world.after(LOOK)).toEqual([]);
    expect(world.after(120_000)).toEqual([]);
    expect(world.detector.isAlert).toBe(false);
    // And anew.
    world.flows = [...world.flows, ...[7, 8, 9].map((key) => ({ key, host: key === 9 ? 11 : 10 }))];
    expect(world.after(8_000)).toMatchObject([{ flows: 3, hosts: 2 }]);
  });

  test('a new connection that is answered ends it too', () => {
    const world = new World();
    world.flows = silent(10, 11, 12);
    expect(world.after(8_000)).toHaveLength(1);
    world.flows = [...world.flows, answered(400, 12)];
    expect(world.after(LOOK)).toEqual([]);
  });

  test('without any evidence it is forgotten after minutes, not at once', () => {
    const world = new World();
    world.flows = silent(10, 11, 12);
    world.after(8_000);
    world.flows = [];
    expect(world.after(200_000)).toHaveLength(1);
    expect(world.after(110_000)).toEqual([]);
    expect(world.detector.isAlert).toBe(false);
  });

  test('a peer that sends nothing at all is the one to blame, after the time for a keepalive', () => {
    const world = new World();
    world.speaks = 0;
    world.flows = silent(10, 11, 12);
    expect(world.after(15_000)).toEqual([]);
    expect(world.after(6_000)).toMatchObject([{ about: 'peer' }]);
    // It is back, and its prefix is silent all the same.
    world.speaks = 32;
    expect(world.after(LOOK)).toMatchObject([{ about: 'prefix' }]);
  });

  test('our own site is no matter of a peer', () => {
    const world = new World('in');
    world.speaks = 0;
    world.flows = silent(10, 11, 12);
    expect(world.after(6_000)).toMatchObject([{ direction: 'in', about: 'prefix' }]);
  });

  test('a slow answer is one', () => {
    const world = new World();
    for (let round = 0; round < 100; round++) {
      const keys = [1, 2, 3].map((n) => round * 10 + n);
      world.flows = keys.map((key, i) => ({ key, host: i }));
      expect(world.after(3_000)).toEqual([]);
      world.flows = keys.map((key, i) => answered(key, i));
      expect(world.after(LOOK)).toEqual([]);
    }
  });

  test('a prefix that is gone from the netmap, or is another connector’s, is not spoken of', () => {
    const world = new World();
    world.flows = silent(10, 11, 12);
    expect(world.after(8_000)).toHaveLength(1);
    world.detector.retain((direction, { connector }) => direction === 'out' && connector !== 'b');
    expect(world.detector.findings()).toEqual([]);
  });

  test('a look that broke off changes nothing', () => {
    const world = new World();
    world.flows = silent(10, 11, 12);
    world.after(8_000);
    const before = world.detector.findings();
    world.detector.beginLook(world.now + 1);
    world.detector.noteAnswered('out', LAN, 5_000, 10);
    world.detector.abandonLook();
    expect(world.detector.findings()).toEqual(before);
  });

  test('is bounded', () => {
    const world = new World();
    world.detector.beginLook(world.now);
    for (let i = 0; i < 5_000; i++) {
      const target = { ...LAN, prefix: `prefix ${i}` };
      world.detector.noteSilent('out', target, { key: i, host: i, origin: 1 }, () => 'host');
      world.detector.noteAnswered('in', LAN, i, i);
    }
    world.detector.endLook(() => 0);
    world.flows = Array.from({ length: 5_000 }, (_, i) => ({ key: i, host: i, origin: i }));
    expect(world.after(9_000)).toMatchObject([{ flows: 256 }]);
  });
});
