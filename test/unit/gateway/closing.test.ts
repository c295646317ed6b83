/** Parts are closed whatever becomes of the others. */
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type ClosingPart, closeParts } from '../../../src/gateway/closing.ts';

let order: string[];
let lines: { readonly what?: string; readonly err?: { readonly message: string } }[];
const log = pino({ level: 'info' }, { write: (line) => void lines.push(JSON.parse(line)) });

beforeEach(() => {
  order = [];
  lines = [];
});
afterEach(() => vi.useRealTimers());

function part(what: string, close: () => void | Promise<void> = () => {}): ClosingPart {
  const noted = () => {
    order.push(what);
    return close();
  };
  return { what, close: noted, timeoutMs: 1_000 };
}

test('in order, each when the one before is closed', async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const closed = closeParts([part('a', () => promise), part('b'), part('c')], log);
  await new Promise(setImmediate);
  expect(order).toEqual(['a']);
  resolve();
  await closed;
  expect(order).toEqual(['a', 'b', 'c']);
  expect(lines).toEqual([]);
});

test('one that throws, rejects or hangs is in the log, and the others are closed', async () => {
  vi.useFakeTimers();
  const parts = [
    part('throws', () => {
      throw new Error('at once');
    }),
    part('rejects', () => Promise.reject(new Error('later'))),
    part('hangs', () => new Promise(() => {})),
    part('last'),
  ];
  const closed = closeParts(parts, log);
  await vi.advanceTimersByTimeAsync(1_000);
  await closed;
  expect(order).toEqual(['throws', 'rejects', 'hangs', 'last']);
  expect(lines.map(({ what, err }) => [what, err?.message])).toEqual([
    ['throws', 'at once'],
    ['rejects', 'later'],
    ['hangs', 'timed out'],
  ]);
});
