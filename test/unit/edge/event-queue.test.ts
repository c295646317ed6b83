/** Events in pieces: together they are what was put in, whatever the characters. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { EventQueue, giveBack, PIECE } from '../../../src/edge/event-queue.ts';

function takeAll(queue: EventQueue): Buffer[] {
  const pieces: Buffer[] = [];
  for (let piece = queue.take(); piece !== undefined; piece = queue.take()) {
    expect(piece.data.length).toBeLessThanOrEqual(PIECE);
    pieces.push(Buffer.from(piece.data));
    giveBack(piece);
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

test('texts are asked for when it is their turn; the size is that of the bytes', () => {
  const queue = new EventQueue();
  let asked = 0;
  queue.push(
    (function* () {
      for (; asked < 100; ) {
        asked++;
        yield 'a'.repeat(PIECE);
      }
    })(),
  );
  queue.push(Buffer.from('ccc'));
  expect(queue.size).toBe(3);
  expect(queue.take()!.data).toHaveLength(PIECE);
  expect(asked).toBe(2);
  for (let i = 1; i < 100; i++) queue.take();
  expect(queue.size).toBe(3);
  expect(queue.take()!.data.toString()).toBe('ccc');
  expect(queue).toMatchObject({ size: 0, isEmpty: true });
});

test('what others have too is not written over', () => {
  const shared = Buffer.alloc(PIECE, 'x');
  const one = new EventQueue();
  const two = new EventQueue();
  one.push(shared);
  two.push(shared);
  giveBack(one.take()!);
  one.push(['y'.repeat(PIECE)]);
  const first = one.take()!;
  one.push(['z'.repeat(PIECE)]);
  expect(one.take()!.data.toString()).toBe('z'.repeat(PIECE));
  expect(first.data.toString()).toBe('y'.repeat(PIECE));
  expect(two.take()!.data.toString()).toBe('x'.repeat(PIECE));
});
