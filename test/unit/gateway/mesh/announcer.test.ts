/** What is advertised is told until the edge knows it, and not sooner than the edge wants. */
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { CausewayError } from '../../../../src/errors.ts';
import { Announcer, tellAdvertised } from '../../../../src/gateway/mesh/announcer.ts';
import { LEAST_WAIT, MOST_WAIT } from '../../../../src/gateway/mesh/backoff.ts';
import { EdgeRefusal } from '../../../../src/gateway/mesh/edge-client.ts';
import type { Identity } from '../../../../src/gateway/mesh/identity.ts';
import { Turns } from '../../../../src/gateway/mesh/turns.ts';

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

describe('an attempt', () => {
  /** What a test knows of an identity. */
  const saying = (advertise: string[]): Identity =>
    ({ advertise, allowDefault: false, advertisePending: true }) as unknown as Identity;
  const signal = new AbortController().signal;
  let identity: Identity;
  let turns: Turns;
  let told: (readonly string[])[];
  const keep = async (after: Identity): Promise<void> => {
    identity = after;
  };
  beforeEach(() => {
    identity = saying(['10.1.0.0/16']);
    turns = new Turns();
    told = [];
  });

  test('keeps nobody waiting for the answer, and tells what is advertised since', async () => {
    const { promise: answered, resolve: answer } = Promise.withResolvers<void>();
    const ask = async ({ advertise }: Identity): Promise<void> => {
      told.push(advertise);
      await answered;
    };
    const telling = tellAdvertised({ identity: () => identity, ask, keep, turns }, signal);
    await turns.take(async () => {
      identity = saying(['10.2.0.0/16']);
    });
    expect(told).toEqual([['10.1.0.0/16']]);
    answer();
    await telling;
    expect(told).toEqual([['10.1.0.0/16'], ['10.2.0.0/16']]);
    expect(identity.advertisePending).toBe(false);
  });

  test('keeps what else changed meanwhile', async () => {
    const ask = async (): Promise<void> => {
      identity = { ...identity, name: 'renamed' };
    };
    await tellAdvertised({ identity: () => identity, ask, keep, turns }, signal);
    expect(identity).toMatchObject({ name: 'renamed', advertisePending: false });
  });

  test('is given up when it is closed, and says nothing more', async () => {
    const { promise: given, resolve } = Promise.withResolvers<AbortSignal>();
    const unanswered = new Announcer(
      (ending) => {
        resolve(ending);
        const { promise, reject } = Promise.withResolvers<void>();
        ending.addEventListener('abort', () => reject(new Error('given up')));
        return promise;
      },
      pino({ level: 'silent' }),
    );
    unanswered.start();
    const ending = await given;
    unanswered.close();
    expect(ending.aborted).toBe(true);
    await vi.advanceTimersByTimeAsync(MOST_WAIT);
    expect(unanswered.fault).toBeUndefined();
  });
});
