/** Server-sent events: the standard's examples, any cutting into pieces, limits, and nonsense. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeEvent } from '../../../../src/gateway/mesh/edge-stream.ts';
import {
  EventStreamDecoder,
  type ServerSentEvent,
} from '../../../../src/gateway/mesh/event-stream.ts';
import { uuid } from './netmaps.ts';

const LIMIT = 10_000;

function decode(...pieces: (string | Uint8Array)[]): ServerSentEvent[] | undefined {
  const decoder = new EventStreamDecoder(LIMIT);
  const events: ServerSentEvent[] = [];
  for (const piece of pieces) {
    const found = decoder.decode(
      typeof piece === 'string' ? new TextEncoder().encode(piece) : piece,
    );
    if (found === undefined) return undefined;
    events.push(...found);
  }
  return events;
}

test('fields, comments, and what is ignored', () => {
  const text = [
    ': hello',
    'event: netmap',
    'id: 7',
    'data: {"a":1,',
    'data: "b":2}',
    'retry: 5',
    'unknown: x',
    '',
    'data:no space',
    '',
    'data',
    '',
    'id: 8',
    '',
    'data: last',
    '',
    'data: never ended',
  ].join('\n');
  expect(decode(text)).toEqual([
    { name: 'netmap', data: '{"a":1,\n"b":2}', id: '7' },
    { name: 'message', data: 'no space', id: '7' },
    { name: 'message', data: '', id: '7' },
    { name: 'message', data: 'last', id: '8' },
  ]);
});

test.each(['\n', '\r\n', '\r'])('lines may end with %j', (end) => {
  const text = ['event: a', 'data: 1', '', 'data: 2', '', ''].join(end);
  expect(decode(text)?.map(({ data }) => data)).toEqual(['1', '2']);
});

test('a byte order mark at the very beginning is none of it', () => {
  expect(decode('\uFEFFdata: 1\n\n')).toHaveLength(1);
  expect(decode('data: 1\n\n\uFEFFdata: 2\n\n')).toHaveLength(1);
});

test('the same however it is cut', () => {
  const line = fc.constantFrom('data: ä€😀', 'event: delta', 'id: 12', ': comment', '', 'x: y');
  const text = fc
    .array(fc.tuple(line, fc.constantFrom('\n', '\r\n', '\r')))
    .map((lines) => lines.flat().join(''));
  fc.assert(
    fc.property(text, fc.array(fc.nat(40)), (whole, cuts) => {
      const bytes = new TextEncoder().encode(whole);
      const pieces: Uint8Array[] = [];
      let at = 0;
      for (const size of cuts) {
        pieces.push(bytes.slice(at, at + size));
        at += size;
      }
      pieces.push(bytes.slice(at));
      expect(decode(...pieces)).toEqual(decode(whole));
    }),
  );
});

describe('bounds', () => {
  test('a line without end', () => {
    expect(decode('data: '.padEnd(LIMIT, 'x'))).toEqual([]);
    expect(decode('data: '.padEnd(LIMIT, 'x'), 'xx')).toBeUndefined();
  });

  test('an event without end', () => {
    const decoder = new EventStreamDecoder(LIMIT);
    const line = new TextEncoder().encode('data: 0123456789\n');
    let lines = 0;
    while (decoder.decode(line) !== undefined && lines < LIMIT) lines++;
    expect(lines).toBeLessThan(LIMIT / 10);
  });
});

test('nonsense never throws', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 5 }), (pieces) => {
      decode(...pieces);
    }),
    { numRuns: 2_000 },
  );
});

describe('our events', () => {
  const event = (name: string, data: string): ServerSentEvent => ({ name, data, id: '' });

  test('unknown names are passed over', () => {
    expect(decodeEvent(event('later', '{}'))).toBeUndefined();
  });

  test.each(['', '{', '{}', '[]', 'null', '{"format":2}'])('a netmap that is none: %j', (data) => {
    for (const name of ['netmap', 'delta']) {
      expect(() => decodeEvent(event(name, data))).toThrow(
        expect.objectContaining({ code: 'NETMAP_INVALID' }),
      );
    }
  });

  test('gone says of whom', () => {
    const gone = { code: 'CONNECTOR_GONE', replica: uuid(1), detail: 'The connector was deleted.' };
    expect(decodeEvent(event('gone', JSON.stringify(gone)))).toEqual({ kind: 'gone', gone });
    for (const data of ['x', '{}', JSON.stringify({ ...gone, replica: 'me' })]) {
      expect(() => decodeEvent(event('gone', data))).toThrow(
        expect.objectContaining({ code: 'NETMAP_INVALID' }),
      );
    }
  });

  test('any JSON at all: refused or taken, nothing else', () => {
    fc.assert(
      fc.property(fc.constantFrom('netmap', 'delta', 'gone'), fc.json(), (name, data) => {
        try {
          decodeEvent(event(name, data));
        } catch (error) {
          expect(error).toMatchObject({ code: 'NETMAP_INVALID' });
        }
      }),
    );
  });
});
