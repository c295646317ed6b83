/** Which of an edge's addresses a gateway uses, in virtual time, against an edge that answers at some. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  AddressChoice,
  ASK_INTERVAL,
  HANDSHAKE_DUE,
  MOST_TRIAL,
  ONE_WAY,
  TRIAL,
} from '../../../../src/gateway/mesh/address-choice.ts';

const [A, B, C] = ['192.0.2.1:51820', '[2001:db8::1]:51820', '198.51.100.1:51820'] as const;
const SECOND = 1_000;

/** A gateway that looks every second; the edge answers a handshake within the second, or never. */
class World {
  readonly choice = new AddressChoice();
  now = 1_700_000_000_000;
  answering: readonly string[];
  lastHandshake = 0;
  /** Handshakes begun, by address. */
  readonly begun: string[] = [];
  peerRxBytes = 0;
  peerTxBytes = 0;
  #shaking = true;

  constructor(addresses: readonly string[], answering: readonly string[], reachable = addresses) {
    this.answering = answering;
    this.choice.setAddresses(addresses, reachable);
    this.begun.push(this.choice.current!);
  }

  run(ms: number): this {
    for (const end = this.now + ms; this.now < end; ) {
      this.now += SECOND;
      const { current } = this.choice;
      if (this.#shaking && this.answering.includes(current!)) {
        this.lastHandshake = this.now;
        this.#shaking = false;
      }
      const advice = this.choice.look({ ...this, address: current });
      if (advice === 'stay') continue;
      this.#shaking = true;
      this.begun.push(this.choice.current!);
    }
    return this;
  }
}

describe('of several addresses', () => {
  test('the first one that answers is used, and asked no more than need be', () => {
    const world = new World([A, B], [A, B]).run(2 * SECOND);
    expect(world.choice.current).toBe(A);
    world.run(60 * SECOND);
    expect(world.begun.filter((address) => address !== A)).toEqual([]);
    expect(world.begun.length).toBeLessThanOrEqual(2);
  });

  test('one that does not answer is left for the next', () => {
    const world = new World([A, B, C], [C]).run(2 * (TRIAL + 2 * SECOND) + 2 * SECOND);
    expect(world.choice.current).toBe(C);
    world.run(600 * SECOND);
    expect(world.choice.current).toBe(C);
  });

  test('one that stops answering, with traffic: within seconds', () => {
    const world = new World([A, B], [A, B]).run(60 * SECOND);
    world.answering = [B];
    for (let i = 0; i < 30 && world.choice.current === A; i++) {
      world.peerTxBytes += 100;
      world.run(SECOND);
    }
    expect(world.choice.current).toBe(B);
    // The other one answers again: what works is not left.
    world.answering = [A, B];
    world.run(600 * SECOND);
    expect(world.choice.current).toBe(B);
  });

  test('one that is dead one way, and brings us what peers send', () => {
    const world = new World([A, B], [A, B]).run(60 * SECOND);
    world.answering = [B];
    for (let i = 0; i < 40 && world.choice.current === A; i++) {
      world.peerTxBytes += 100;
      world.peerRxBytes += 100;
      world.run(SECOND);
    }
    expect(world.choice.current).toBe(B);
  });

  test('without traffic: when its next handshake is overdue', () => {
    const world = new World([A, B], [A, B]).run(3 * SECOND);
    world.answering = [B];
    world.run(HANDSHAKE_DUE + 2 * TRIAL + 5 * SECOND);
    expect(world.choice.current).toBe(B);
  });

  test('a peer that does not answer is no reason to move, and none to ask all the time', () => {
    const world = new World([A, B], [A, B]).run(3 * SECOND);
    const before = world.begun.length;
    for (let i = 0; i < 60; i++) {
      world.peerTxBytes += 100;
      world.run(SECOND);
    }
    expect(world.choice.current).toBe(A);
    expect(world.begun.slice(before).every((address) => address === A)).toBe(true);
    expect(world.begun.length - before).toBeLessThanOrEqual(60_000 / ASK_INTERVAL + 1);
  });

  test('an edge that is down: around and around, in the end slowly, and found where it is', () => {
    const world = new World([A, B], []).run(600 * SECOND);
    const rate = world.begun.length;
    world.run(10 * MOST_TRIAL);
    expect(world.begun.length - rate).toBeLessThanOrEqual(11);
    world.answering = [B];
    world.run(3 * MOST_TRIAL);
    expect(world.choice.current).toBe(B);
  });

  test('an answer from an address that was given up: it is the one', () => {
    const choice = new AddressChoice();
    choice.setAddresses([A, B], [A, B]);
    const sight = { lastHandshake: 0, peerRxBytes: 0, peerTxBytes: 0 };
    choice.expect(10_000, 0);
    expect(choice.look({ ...sight, now: 10_000 + TRIAL, address: A })).toBe('moved');
    expect(choice.current).toBe(B);
    expect(choice.look({ ...sight, now: 13_000, lastHandshake: 12_900, address: A })).toBe('moved');
    expect(choice.current).toBe(A);
  });

  test('other addresses: the one in use stays while it is one, with a route', () => {
    const choice = new AddressChoice();
    choice.setAddresses([A, B], [B]);
    expect(choice.current).toBe(B);
    choice.setAddresses([A, B, C], [A, B, C]);
    expect(choice.current).toBe(B);
    choice.setAddresses([A, B, C], []);
    expect(choice.current).toBe(B);
    choice.setAddresses([A, B, C], [C]);
    expect(choice.current).toBe(C);
    choice.setAddresses([A], [A]);
    expect(choice.current).toBe(A);
    choice.setAddresses([], []);
    expect(choice.current).toBeUndefined();
  });

  test('whatever answers in the end is found', () => {
    const some = fc.subarray([A, B, C], { minLength: 1 });
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.subarray([A, B, C]), fc.nat(300))), some, (past, last) => {
        const world = new World([A, B, C], []);
        for (const [answering, seconds] of past) {
          world.answering = answering;
          world.peerTxBytes++;
          world.run(seconds * SECOND);
        }
        world.answering = last;
        world.run(HANDSHAKE_DUE + 8 * MOST_TRIAL);
        expect(last).toContain(world.choice.current);
      }),
      { numRuns: 50 },
    );
  });
});

test('the traffic that finds no echo must last', () => {
  const world = new World([A, B], [A, B]).run(8 * SECOND);
  const before = world.begun.length;
  world.peerTxBytes += 100;
  world.run(ONE_WAY - SECOND);
  world.peerRxBytes += 100;
  world.run(3 * SECOND);
  expect(world.begun.length).toBe(before);
});
