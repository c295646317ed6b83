/** Events in pieces: together they are what was put in, whatever the characters. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { EventQueue, PIECE } from '../../../src/edge/event-queue.ts';

function takeAll(queue: EventQueue): Buffer[] {
  const pieces: Buffer[] = [];
  for (let piece = queue.take(); piece !== undefined; piece = queue.take()) {
    expect(piece.data.length).toBeLessThanOrEqual(PIECE);
    pieces.push(piece.data);
  }
  expect(queue).toMatchObject({ size: 0, isEmpty: true });
  return pieces;
}

test('texts and bytes come out in order, in few pieces', () => {
  const texts = fc
    .array(
      fc
        .tuple(fc.string({ unit: 'grapheme', maxLength: 20 }), fc.constantFrom(1, 7, 3_000))
        .map(([part, times]) => part.repeat(times)),
      { maxLength: 8 },
    )
    .map((all) => all as readonly string[]);
  const event = fc.oneof(
    texts,
    texts.map((all) => Buffer.from(all.join(''))),
  );
  fc.assert(
    fc.property(fc.array(event, { maxLength: 5 }), (events) => {
      const queue = new EventQueue();
      for (const one of events) queue.push(one);
      const pieces = takeAll(queue);
      const expected = events.map((one) => (Buffer.isBuffer(one) ? `${one}` : one.join('')));
      const whole = expected.join('');
      expect(Buffer.concat(pieces).toString()).toBe(whole);
      const least = Buffer.byteLength(whole) / (PIECE - 4);
      expect(pieces.length).toBeLessThanOrEqual(least + 2 * events.length);
    }),
    { numRuns: 200 },
  );
});

test('its size is what was not taken', () => {
  const queue = new EventQueue();
  queue.push(['a'.repeat(PIECE), 'b']);
  queue.push(Buffer.from('ccc'));
  expect(queue.size).toBe(PIECE + 4);
  expect(queue.take()!.size).toBe(PIECE);
  expect(queue.size).toBe(4);
  expect(queue.take()!.data.toString()).toBe('b');
  expect(queue.take()!.data.toString()).toBe('ccc');
});
