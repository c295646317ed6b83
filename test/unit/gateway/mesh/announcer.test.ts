/** What is advertised is told until the edge knows it, and not sooner than the edge wants. */
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { CausewayError } from '../../../../src/errors.ts';
import { Announcer } from '../../../../src/gateway/mesh/announcer.ts';
import { LEAST_WAIT, MOST_WAIT } from '../../../../src/gateway/mesh/backoff.ts';
import { EdgeRefusal } from '../../../../src/gateway/mesh/edge-client.ts';

let answers: (Error | undefined)[];
let asked: number;
let announcer: Announcer;
beforeEach(() => {
  vi.useFakeTimers();
  asked = 0;
  announcer = new Announcer(
    async () => {
      asked++;
      const answer = answers.shift();
      if (answer !== undefined) throw answer;
    },
    pino({ level: 'silent' }),
  );
});
afterEach(() => {
  announcer.close();
  vi.useRealTimers();
});

const busy = (retryAfter?: number): EdgeRefusal => new EdgeRefusal(429, undefined, retryAfter);

test('comes again when the edge said to, however often it connects meanwhile', async () => {
  answers = [busy(60_000), undefined];
  announcer.start();
  await vi.advanceTimersByTimeAsync(0);
  for (let i = 0; i < 59; i++) {
    announcer.start();
    await vi.advanceTimersByTimeAsync(1_000);
  }
  expect(asked).toBe(1);
  await vi.advanceTimersByTimeAsync(1_000);
  expect(asked).toBe(2);
  await vi.advanceTimersByTimeAsync(3_600_000);
  expect(asked).toBe(2);
});

test('an edge in trouble, or out of reach, is asked again with longer and longer waits', async () => {
  answers = [
    new EdgeRefusal(503, undefined, undefined),
    new CausewayError('EDGE_UNREACHABLE', 'nobody answers'),
    undefined,
  ];
  announcer.start();
  await vi.advanceTimersByTimeAsync(LEAST_WAIT);
  expect(asked).toBe(2);
  await vi.advanceTimersByTimeAsync(MOST_WAIT);
  expect(asked).toBe(3);
});

test('a refusal for good is not repeated until the next connection', async () => {
  answers = [new EdgeRefusal(400, undefined, undefined), undefined];
  announcer.start();
  await vi.advanceTimersByTimeAsync(3_600_000);
  expect(asked).toBe(1);
  announcer.start();
  await vi.advanceTimersByTimeAsync(0);
  expect(asked).toBe(2);
});

test('nothing is told after the end', async () => {
  answers = [busy(60_000), undefined];
  announcer.start();
  await vi.advanceTimersByTimeAsync(0);
  announcer.close();
  await vi.advanceTimersByTimeAsync(3_600_000);
  announcer.start();
  expect(asked).toBe(1);
});

test('says why the edge does not know yet, until it does', async () => {
  answers = [new EdgeRefusal(503, undefined), undefined];
  announcer.start();
  await vi.advanceTimersByTimeAsync(0);
  expect(announcer.fault).toMatchObject({ again: true });
  expect(announcer.fault?.message).toMatch(/503/);
  await vi.advanceTimersByTimeAsync(MOST_WAIT);
  expect(announcer.fault).toBeUndefined();
  answers = [new EdgeRefusal(400, undefined)];
  announcer.start();
  await vi.advanceTimersByTimeAsync(MOST_WAIT);
  expect(announcer.fault).toMatchObject({ again: false });
});
