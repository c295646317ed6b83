/** The ring of captured packets against a queue: order, contents, and every loss counted. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { DROP_REASON_NAMES } from '../../../../src/drops.ts';
import {
  CaptureReader,
  CaptureWriter,
  createCaptureRing,
  DIRECTION_IN,
  DIRECTION_OUT,
  PATH_KNOWN,
  RECORD_HEADER,
  VERDICT_DROPPED,
  VERDICT_STAGED,
} from '../../../../src/gateway/capture/capture-ring.ts';
import { encodeFrame, FrameReader } from '../../../../src/gateway/capture/capture-stream.ts';
import { packetsIn } from '../../../../src/gateway/capture/captured-packet.ts';

const SIZE = 1_024;

function ring(size = SIZE) {
  const buffer = createCaptureRing(size);
  return { writer: new CaptureWriter(buffer), reader: new CaptureReader(buffer) };
}

test('a record has what was written', () => {
  const { writer, reader } = ring();
  const arena = Uint8Array.from({ length: 100 }, (_, i) => i);
  const noRoute = VERDICT_DROPPED + DROP_REASON_NAMES.indexOf('out_no_route');
  writer.write(arena, 10, 40, 20, 5, 0, DIRECTION_IN | PATH_KNOWN, 9, 1_700_000_000_000.125);
  writer.write(arena, 50, 3, 3, -1, noRoute, DIRECTION_OUT, 0, 2);
  writer.write(arena, 0, 0, 0, 70_000, VERDICT_STAGED, DIRECTION_OUT | PATH_KNOWN, 0, 3);
  const packets = [...packetsIn(reader.read(1_000)!)];
  expect(packets).toMatchObject([
    { direction: 'in', peer: 5, verdict: 'accepted', path: 'relayed', time: 1_700_000_000_000.125 },
    { direction: 'out', peer: -1, verdict: 'out_no_route', path: undefined, length: 3 },
    { direction: 'out', peer: 70_000, verdict: 'waiting', path: 'direct', length: 0 },
  ]);
  expect(packets[0]).toMatchObject({ length: 40, bytes: arena.slice(10, 30), lostBefore: 0 });
  expect(reader.read(1_000)).toBeUndefined();
  expect([reader.written, reader.lost]).toEqual([3, 0]);
});

test('writes and reads in any order', () => {
  const step = fc.oneof(fc.record({ write: fc.nat(700) }), fc.record({ read: fc.nat(SIZE) }));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const { writer, reader } = ring();
      const arena = new Uint8Array(800);
      const waiting: { serial: number; length: number; lostBefore: number }[] = [];
      let serial = 0;
      let lost = 0;
      let lostBefore = 0;
      const read = (most: number): void => {
        const records = reader.read(most);
        if (records === undefined) return void expect(waiting).toEqual([]);
        for (const packet of packetsIn(records)) {
          const { serial: own, length, lostBefore: before } = waiting.shift()!;
          expect(packet).toMatchObject({ peer: own, length, lostBefore: before });
          expect([...packet.bytes].every((byte) => byte === (own & 255))).toBe(true);
        }
      };
      for (const action of steps) {
        if ('read' in action) {
          read(action.read);
          continue;
        }
        arena.fill(++serial & 255);
        const before = reader.lost;
        writer.write(
          arena,
          action.write % 9,
          action.write,
          action.write,
          serial,
          0,
          DIRECTION_IN,
          0,
          serial,
        );
        if (reader.lost > before) {
          lost++;
          lostBefore++;
          // Only what does not fit: a record is in one piece, so the end of the ring may be left out.
          const sizes = [...waiting.map(({ length }) => length), action.write].map((length) => {
            return RECORD_HEADER + length + 7;
          });
          const used = sizes.reduce((sum, size) => sum + size, 0);
          expect(used + Math.max(...sizes)).toBeGreaterThan(SIZE);
        } else {
          waiting.push({ serial, length: action.write, lostBefore });
          lostBefore = 0;
        }
      }
      while (waiting.length > 0) read(SIZE);
      expect([reader.written, reader.lost]).toEqual([serial - lost, lost]);
    }),
    { numRuns: 500 },
  );
});

test('its counters may pass 2^32', () => {
  const { writer, reader } = ring();
  // As after 4 GiB: head and tail at the end of their range.
  reader.control.fill(-64, 0, 2);
  const arena = new Uint8Array(100).fill(3);
  for (let i = 0; i < 50; i++) {
    writer.write(arena, 0, 60, 60, i, 0, DIRECTION_IN, 0, i);
    const packets = [...packetsIn(reader.read(SIZE)!)];
    expect(packets.map(({ peer }) => peer)).toEqual([i]);
  }
  expect(reader.lost).toBe(0);
});

test('records that are cut off end the reading', () => {
  const { writer, reader } = ring();
  const arena = new Uint8Array(100);
  for (let i = 0; i < 3; i++) writer.write(arena, 0, 30, 30, i, 0, DIRECTION_IN, 0, i);
  const records = reader.read(SIZE)!;
  for (let length = 0; length <= records.length; length++) {
    const packets = [...packetsIn(records.subarray(0, length))];
    expect(packets.length).toBe(Math.floor(length / (records.length / 3)));
  }
});

test('frames come out of a stream as they went in, however it is cut', () => {
  const frames = fc.array(
    fc.tuple(fc.integer({ min: 1, max: 2 }), fc.uint8Array({ maxLength: 50 })),
  );
  fc.assert(
    fc.property(
      frames,
      fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1 }),
      (sent, cuts) => {
        const stream = Buffer.concat(sent.map(([kind, payload]) => encodeFrame(kind, payload)));
        const reader = new FrameReader();
        const got: [number, Uint8Array][] = [];
        for (let at = 0, i = 0; at < stream.length; i++) {
          const end = at + cuts[i % cuts.length]!;
          reader.push(stream.subarray(at, end));
          at = end;
          for (let frame = reader.next(); frame !== undefined; frame = reader.next()) {
            got.push([frame.kind, new Uint8Array(frame.payload)]);
          }
        }
        expect(got).toEqual(sent);
      },
    ),
  );
  const reader = new FrameReader();
  reader.push(Buffer.alloc(8, 0xff));
  expect(() => reader.next()).toThrow();
});
