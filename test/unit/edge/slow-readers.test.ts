/** Streams against readers that stall: bounded queues, one catch-up, a turn for each. */
import { EventEmitter } from 'node:events';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { ReplicaId } from '../../../src/control/model.ts';
import type { NetmapIndex, NetmapStart } from '../../../src/control/netmap-index.ts';
import { NetmapStreams, type StreamSink } from '../../../src/edge/netmap-streams.ts';

/** Takes what it is given, and reads it when the test says so. */
class SlowSink extends EventEmitter {
  written: string[] = [];
  writableLength = 0;
  ended = false;
  destroyed = false;

  write(data: Buffer | string): boolean {
    this.written.push(String(data));
    this.writableLength += Buffer.byteLength(data);
    return this.writableLength < 16_384;
  }

  read(): void {
    const blocked = this.writableLength >= 16_384;
    this.writableLength = 0;
    if (blocked) this.emit('drain');
  }

  end(): void {
    this.ended = true;
    this.emit('close');
  }

  destroy(): void {
    this.destroyed = true;
    this.emit('close');
  }
}

/** Whole netmaps of a size; what was missed is told by its revisions. */
class FakeIndex {
  revision = 1;
  size = 10;
  starts: string[] = [];

  start(id: ReplicaId, since: number | undefined): NetmapStart | undefined {
    this.starts.push(`${id} ${since}`);
    if (since === this.revision) return undefined;
    const event = since === undefined ? 'netmap' : 'delta';
    const padding = since === undefined ? 'x'.repeat(this.size) : '';
    return { event, revision: this.revision, data: JSON.stringify({ since, padding }) };
  }
}

let now = 0;
let index: FakeIndex;
let streams: NetmapStreams;
beforeEach(() => {
  vi.useFakeTimers();
  now = 0;
  index = new FakeIndex();
  streams = new NetmapStreams(index as unknown as NetmapIndex, () => now);
});
afterEach(() => {
  streams.close();
  vi.useRealTimers();
});

function open(name: string, since?: number): SlowSink {
  const sink = new SlowSink();
  streams.open(name as ReplicaId, since, sink as unknown as StreamSink);
  return sink;
}

function publish(names: string[], size = 10): void {
  index.revision++;
  const data = JSON.stringify({ n: index.revision, padding: 'y'.repeat(size) });
  const recipients = names as ReplicaId[];
  streams.publish({ revision: index.revision, broadcasts: [{ data, recipients }], gone: [] });
}

function pass(milliseconds: number): void {
  now += milliseconds;
  vi.advanceTimersByTime(milliseconds);
}

test('changes that come together leave in one write', () => {
  const sink = open('a', 1);
  for (let i = 0; i < 5; i++) publish(['a']);
  pass(50);
  expect(sink.written).toHaveLength(1);
  expect(sink.written[0]!.match(/^id: \d+$/gm)).toEqual([
    'id: 2',
    'id: 3',
    'id: 4',
    'id: 5',
    'id: 6',
  ]);
});

test('a reader that stalls has a bounded queue, and then gets one event over all it missed', () => {
  const slow = open('slow', 1);
  const quick = open('quick', 1);
  for (let i = 0; i < 200; i++) {
    publish(['slow', 'quick'], 10_000);
    pass(50);
    quick.read();
  }
  expect(quick.written).toHaveLength(200);
  expect(slow.writableLength).toBeLessThan(300_000);
  const before = slow.written.length;
  slow.read();
  expect(slow.written.length).toBe(before + 1);
  expect(slow.written.at(-1)).toMatch(new RegExp(`^id: ${index.revision}\nevent: delta`));
  publish(['slow'], 10);
  pass(50);
  expect(slow.written.at(-1)).toContain(`"n":${index.revision}`);
});

test('whole netmaps go out a few at a time, and everybody has a turn', () => {
  index.size = 200_000;
  const sinks = Array.from({ length: 20 }, (_, i) => open(`s${i}`));
  const served = (): number => sinks.filter(({ written }) => written.length > 0).length;
  expect(served()).toBe(8);
  for (const sink of sinks.slice(0, 8)) sink.read();
  expect(served()).toBe(16);
  sinks[8]!.destroy();
  expect(served()).toBe(17);
  for (const sink of sinks) sink.read();
  for (const sink of sinks) sink.read();
  expect(served()).toBe(20);
});

test('who waits for a turn misses nothing', () => {
  index.size = 200_000;
  const large = Array.from({ length: 8 }, (_, i) => open(`large${i}`));
  const waiting = open('waiting', 1);
  publish(['waiting']);
  pass(50);
  expect(waiting.written).toHaveLength(0);
  large[0]!.read();
  expect(waiting.written).toHaveLength(1);
  expect(waiting.written[0]).toContain('"since":1');
});

describe('time', () => {
  test('a stream without events has a comment line every 15 s', () => {
    const sink = open('a', 1);
    pass(16_000);
    expect(sink.written).toEqual([':\n\n']);
    sink.read();
    pass(15_000);
    expect(sink.written).toHaveLength(2);
  });

  test('a reader that reads nothing for 20 s is cut off, one that goes on reading is not', () => {
    index.size = 200_000;
    const stalled = open('stalled');
    const steady = open('steady');
    for (let i = 0; i < 30; i++) {
      pass(1_000);
      steady.writableLength = Math.max(1, steady.writableLength - 100);
    }
    expect(stalled.destroyed).toBe(true);
    expect(steady.destroyed).toBe(false);
    expect(streams.size).toBe(1);
  });
});

test('a replica that is gone is told so and forgotten', () => {
  const sink = open('a', 1);
  publish(['a']);
  streams.publish({ revision: 3, broadcasts: [], gone: ['a' as ReplicaId] });
  expect(sink.written.at(-1)).toContain('event: gone');
  expect(sink.ended).toBe(true);
  pass(50);
  expect(sink.written).toHaveLength(1);
  expect(streams.size).toBe(0);
});
