/** Streams against readers that stall: bounded queues, one catch-up, nobody waits for another. */
import { EventEmitter } from 'node:events';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { ReplicaId } from '../../../src/control/model.ts';
import type { NetmapIndex, NetmapStart } from '../../../src/control/netmap-index.ts';
import { NetmapStreams, type StreamSink } from '../../../src/edge/netmap-streams.ts';

/** Takes what it is given, and reads it when the test says so. */
class SlowSink extends EventEmitter {
  written: Buffer[] = [];
  ended = false;
  destroyed = false;
  #callbacks: (() => void)[] = [];

  write(data: Buffer, callback: () => void): boolean {
    // Lent until it is read.
    this.written.push(Buffer.from(data));
    this.#callbacks.push(callback);
    return true;
  }

  get text(): string {
    return Buffer.concat(this.written).toString();
  }

  /** The ids of the events that came. */
  get ids(): number[] {
    return [...this.text.matchAll(/^id: (\d+)$/gm)].map(([, id]) => Number(id));
  }

  /** Reads pieces until there are none, or so many. */
  read(pieces = Number.POSITIVE_INFINITY): void {
    for (let i = 0; i < pieces; i++) {
      const callback = this.#callbacks.shift();
      if (callback === undefined) return;
      callback();
    }
  }

  end(last?: Buffer): void {
    if (last !== undefined) this.written.push(last);
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

  idOf(revision: number): string {
    return String(revision);
  }

  start(id: ReplicaId, since: number | undefined): NetmapStart | undefined {
    this.starts.push(`${id} ${since}`);
    if (since === this.revision) return undefined;
    const event = since === undefined ? 'netmap' : 'delta';
    const padding = since === undefined ? 'x'.repeat(this.size) : '';
    return { event, revision: this.revision, data: [JSON.stringify({ since, padding })] };
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
  streams.publish({
    revision: index.revision,
    broadcasts: [{ data, recipients }],
    gone: [],
    revoked: [],
  });
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
  expect(sink.ids).toEqual([2, 3, 4, 5, 6]);
});

test('a reader that stalls has a bounded queue, and then gets one event over all it missed', () => {
  const slow = open('slow', 1);
  const quick = open('quick', 1);
  for (let i = 0; i < 200; i++) {
    publish(['slow', 'quick'], 10_000);
    pass(50);
    quick.read();
  }
  expect(quick.ids).toHaveLength(200);
  expect(slow.written).toHaveLength(1);
  slow.read();
  expect(slow.text.length).toBeLessThan(300_000);
  expect(slow.ids.at(-1)).toBe(index.revision);
  expect(slow.ids.length).toBeLessThan(40);
  expect(index.starts.filter((start) => start.startsWith('slow'))).toHaveLength(2);
  publish(['slow'], 10);
  pass(50);
  slow.read();
  expect(slow.text).toContain(`"n":${index.revision}`);
});

test('nothing is written in one piece that Node would keep a buffer for', () => {
  index.size = 1_000_000;
  const sink = open('a');
  sink.read();
  expect(sink.text.length).toBeGreaterThan(1_000_000);
  expect(Math.max(...sink.written.map(({ length }) => length))).toBeLessThanOrEqual(16_384);
  expect(JSON.parse(/^data: (.*)$/m.exec(sink.text)![1]!).padding).toHaveLength(1_000_000);
});

test('whoever comes gets the whole netmap at once, however many others read slowly', () => {
  index.size = 1_000_000;
  const slow = Array.from({ length: 100 }, (_, i) => open(`slow${i}`));
  for (const sink of slow) sink.read(1);
  const quick = open('quick');
  quick.read();
  expect(quick.ids).toEqual([index.revision]);
  publish(['quick', 'slow0']);
  pass(50);
  quick.read();
  expect(quick.ids).toEqual([index.revision - 1, index.revision]);
  // What a slow reader has not asked for yet is not made.
  for (const { written } of slow) expect(written).toHaveLength(2);
  slow[0]!.read();
  expect(slow[0]!.ids).toEqual([index.revision - 1, index.revision]);
});

describe('time', () => {
  test('a stream without events has a comment line every 15 s', () => {
    const sink = open('a', 1);
    pass(16_000);
    expect(sink.text).toBe(':\n\n');
    sink.read();
    pass(15_000);
    expect(sink.text).toBe(':\n\n:\n\n');
  });

  test('a reader that reads nothing for 20 s is cut off, one that goes on reading is not', () => {
    index.size = 1_000_000;
    const stalled = open('stalled');
    const steady = open('steady');
    for (let i = 0; i < 30; i++) {
      pass(1_000);
      steady.read(1);
    }
    expect(stalled.destroyed).toBe(true);
    expect(steady.destroyed).toBe(false);
    expect(streams.size).toBe(1);
  });
});

describe('a replica that is gone', () => {
  const gone = (): void => {
    streams.publish({
      revision: ++index.revision,
      broadcasts: [],
      gone: ['a' as ReplicaId],
      revoked: [],
    });
  };

  test('is told so and forgotten', () => {
    const sink = open('a', 1);
    publish(['a']);
    pass(50);
    publish(['a']);
    gone();
    pass(50);
    expect(sink.text).toMatch(/event: gone\ndata: .*\n\n$/);
    expect(sink.ended).toBe(true);
    expect(sink.ids).toEqual([2, 4]);
    expect(streams.size).toBe(0);
  });

  test('in the middle of an event is cut off', () => {
    index.size = 100_000;
    const sink = open('a');
    sink.read(1);
    gone();
    expect(sink.ended).toBe(true);
    expect(sink.text).not.toContain('gone');
  });
});
