import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as timers from '../../../src/wireguard/timers.ts';
import { TIMER_COUNT, Timers } from '../../../src/wireguard/timers.ts';

describe('the constants', () => {
  it('are the whitepaper’s (§ 6.1), or stricter where those are no doubles', () => {
    expect(timers.REKEY_AFTER_TIME).toBe(120_000);
    expect(timers.REJECT_AFTER_TIME).toBe(180_000);
    expect(timers.REKEY_ATTEMPT_TIME).toBe(90_000);
    expect(timers.REKEY_TIMEOUT).toBe(5_000);
    expect(timers.KEEPALIVE_TIMEOUT).toBe(10_000);
    expect(timers.REKEY_JITTER).toBe(333);
    expect(timers.HANDSHAKE_INITIATION_RATE).toBe(20);
    expect(timers.MAX_HANDSHAKE_ATTEMPTS).toBe(18);
    expect(timers.REKEY_AFTER_MESSAGES).toBeLessThan(2 ** 60);
    expect(timers.REJECT_AFTER_MESSAGES).toBeLessThan(Number.MAX_SAFE_INTEGER);
    expect(timers.REKEY_AFTER_MESSAGES).toBeLessThan(timers.REJECT_AFTER_MESSAGES);
    expect(Number.isSafeInteger(timers.REJECT_AFTER_MESSAGES)).toBe(true);
  });
});

describe('Timers', () => {
  it('knows nothing to wait for at first', () => {
    const table = new Timers();
    table.reserve(10);
    expect(table.next()).toBe(Number.POSITIVE_INFINITY);
    expect(table.due(1e12)).toBe(-1);
  });

  it('goes off once, at the deadline', () => {
    const table = new Timers();
    table.reserve(10);
    table.arm(3, 2, 100);
    expect(table.next()).toBe(100);
    expect(table.due(99)).toBe(-1);
    expect(table.due(100)).toBe(3);
    expect(table.take(3, 1, 100)).toBe(false);
    expect(table.take(3, 2, 100)).toBe(true);
    expect(table.take(3, 2, 100)).toBe(false);
    table.settle(3);
    expect(table.due(1e12)).toBe(-1);
    expect(table.next()).toBe(Number.POSITIVE_INFINITY);
  });

  it('agrees with a list of all deadlines, whatever is armed, moved and taken away', () => {
    const PEERS = 7;
    const peer = fc.integer({ min: 0, max: PEERS - 1 });
    const timer = fc.integer({ min: 0, max: TIMER_COUNT - 1 });
    const step = fc.oneof(
      fc.record({ kind: fc.constant('arm'), peer, timer, delay: fc.integer({ min: 1, max: 500 }) }),
      fc.record({ kind: fc.constant('disarm'), peer, timer, delay: fc.constant(0) }),
      fc.record({ kind: fc.constant('clear'), peer, timer, delay: fc.constant(0) }),
      fc.record({
        kind: fc.constant('pass'),
        peer,
        timer,
        delay: fc.integer({ min: 0, max: 300 }),
      }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const table = new Timers();
        table.reserve(10);
        const deadlines = new Map<string, number>();
        let now = 0;
        for (const { kind, peer: p, timer: t, delay } of steps) {
          if (kind === 'arm') {
            table.arm(p, t, now + delay);
            deadlines.set(`${p} ${t}`, now + delay);
          } else if (kind === 'disarm') {
            table.disarm(p, t);
            deadlines.delete(`${p} ${t}`);
          } else if (kind === 'clear') {
            table.disarmAll(p);
            for (let i = 0; i < TIMER_COUNT; i++) deadlines.delete(`${p} ${i}`);
          } else {
            now += delay;
            const fired: string[] = [];
            let looks = 0;
            for (let at = table.due(now); at >= 0; at = table.due(now)) {
              for (let i = 0; i < TIMER_COUNT; i++) {
                if (table.take(at, i, now)) fired.push(`${at} ${i}`);
              }
              table.settle(at);
              expect(++looks).toBeLessThanOrEqual(PEERS);
            }
            const expected = [...deadlines].filter(([, at]) => at <= now).map(([key]) => key);
            expect(fired.sort()).toEqual(expected.sort());
            for (const key of expected) deadlines.delete(key);
          }
          const earliest = Math.min(Number.POSITIVE_INFINITY, ...deadlines.values());
          expect(table.next()).toBeLessThanOrEqual(earliest);
          for (const [key, at] of deadlines) {
            const [p2, t2] = key.split(' ').map(Number) as [number, number];
            expect(table.deadline(p2, t2)).toBe(at);
            expect(table.isArmed(p2, t2)).toBe(true);
          }
        }
      }),
      { numRuns: 300 },
    );
  });
});
