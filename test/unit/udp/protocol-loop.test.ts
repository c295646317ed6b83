/** The turns that a protocol gets after a visit, with a protocol that only says what it is asked. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Clock } from '../../../src/clock.ts';
import { ProtocolLoop } from '../../../src/udp/protocol-loop.ts';
import { OutboundVector } from '../../../src/vector.ts';
import { PlainAead } from '../../simulation/plain-aead.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

function loopOf(waiting = 0, deadlines: number[] = []) {
  const done: string[] = [];
  const outbound = new OutboundVector(4, 1_024);
  let vectors = 0;
  const state = { canSend: true, tooMuch: false };
  const loop = new ProtocolLoop({
    protocol: {
      get handshakesWaiting() {
        return waiting;
      },
      handleHandshakes: (_, budget) => {
        done.push('handshakes');
        waiting = Math.max(0, waiting - budget);
        return waiting;
      },
      enterUnderLoad: () => done.push('under load'),
      pollTransmit: (vector) => {
        if (vectors === 0) return false;
        vector.length = 1;
        vector.slot[0] = -2;
        return --vectors > 0;
      },
      pollTimeout: () => deadlines[0] ?? Number.POSITIVE_INFINITY,
      handleTimeout: () => {
        deadlines.shift();
        done.push('timeout');
      },
    },
    aead: new PlainAead(1),
    clock: new Clock(),
    share: { addHandshakes: () => state.tooMuch },
    outbound,
    canSend: () => state.canSend,
    send: () => {
      done.push('send');
      // The second one finds the socket full.
      state.canSend = vectors !== 1;
    },
    onEvents: () => done.push('events'),
  });
  const transmit = (count: number): void => {
    vectors = count;
  };
  return { loop, done, state, transmit };
}

test('handshakes that are left get the next turn, once, behind whatever else there is', async () => {
  const { loop, done } = loopOf(5);
  loop.finishVisit();
  loop.finishVisit();
  expect(done).toEqual(['handshakes', 'events', 'handshakes', 'events']);
  await vi.runAllTimersAsync();
  expect(done.filter((what) => what === 'handshakes')).toHaveLength(3);
});

test('handshakes that take too much time put the protocol under load', () => {
  const { loop, done, state } = loopOf(1);
  state.tooMuch = true;
  loop.finishVisit();
  expect(done).toEqual(['handshakes', 'under load', 'events']);
});

test('what is to be sent is sent until a socket is full, and the rest later', () => {
  const { loop, done, state, transmit } = loopOf();
  transmit(3);
  loop.finishVisit();
  expect(done).toEqual(['send', 'send', 'events']);
  loop.finishVisit();
  expect(done).toEqual(['send', 'send', 'events', 'events']);
  state.canSend = true;
  loop.finishVisit();
  expect(done.filter((what) => what === 'send')).toHaveLength(3);
});

test('the timer goes off at each deadline, and no more when the loop is closed', () => {
  const start = performance.now();
  const { loop, done } = loopOf(0, [start + 100, start + 250, start + 400]);
  loop.finishVisit();
  vi.advanceTimersByTime(99);
  expect(done).toEqual(['events']);
  vi.advanceTimersByTime(1);
  expect(done).toEqual(['events', 'timeout', 'events']);
  vi.advanceTimersByTime(150);
  expect(done.filter((what) => what === 'timeout')).toHaveLength(2);
  loop.close();
  vi.advanceTimersByTime(1_000);
  loop.finishVisit();
  expect(done).toHaveLength(5);
});
