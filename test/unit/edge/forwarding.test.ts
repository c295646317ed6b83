/** What the relay does to a vector: stamps what it forwards, keeps what is its own, allocates nothing. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { RelayCore } from '../../../src/control/relay/relay-core.ts';
import { Forwarding } from '../../../src/edge/relay/forwarding.ts';
import { ENDPOINT_RECORD_WORDS, InboundVector, SLOT_COMPLETE } from '../../../src/vector.ts';

const RUNS = 8;

interface Run {
  /** Source: host and port follow from it. */
  readonly from: number;
  readonly to: number;
  readonly type?: number;
  readonly count?: number;
  readonly stride?: number;
  readonly last?: number;
}

function relay() {
  const core = new RelayCore(1, { capacity: 8, pairs: 16, bytesPerSecond: 1e15 });
  const inbound = new InboundVector(RUNS, 512, 1 << 16, RUNS);
  const forwarded = new Float64Array(2);
  const forwarding = new Forwarding(core, inbound, forwarded);
  const words = inbound.sources.words;
  for (let i = 0; i < RUNS; i++) {
    words[i * ENDPOINT_RECORD_WORDS] = 4 | ((1_000 + i) << 16);
    words[i * ENDPOINT_RECORD_WORDS + 1] = i + 1;
  }
  for (const relayId of [1, 2, 0xabcdef]) core.admit(relayId, 1);
  core.bind(1, words, 0, 0);
  core.bind(2, words, 1, 0);
  core.bind(0xabcdef, words, 2, 0);

  /** Writes runs as the socket hands them over. */
  const receive = (runs: readonly Run[]): void => {
    inbound.clear();
    let at = 0;
    for (const [i, run] of runs.entries()) {
      const { from, to, type = 4, count = 1, stride = 96, last = stride } = run;
      inbound.offset[i] = at;
      inbound.stride[i] = stride;
      inbound.count[i] = count;
      inbound.lastSize[i] = last;
      inbound.head[i] = ((to << 8) | type) >>> 0;
      inbound.receiver[i] = i + 1;
      inbound.source[i] = from;
      inbound.first[i] = inbound.messages;
      for (let k = 0; k < count; k++) {
        inbound.arena.fill(0x55, at + k * stride, at + k * stride + stride);
        inbound.arena.set([type, to, to >> 8, to >> 16], at + k * stride);
      }
      inbound.messages += count;
      at += count * stride;
    }
    inbound.length = runs.length;
  };
  return { core, inbound, forwarding, forwarded, receive };
}

describe('forwarding', () => {
  it('sends runs on from where they lie, with the source in the reserved bytes', () => {
    const { core, inbound, forwarding, forwarded, receive } = relay();
    receive([
      { from: 0, to: 2, count: 3, stride: 1_452, last: 100 },
      { from: 1, to: 0xabcdef },
      { from: 2, to: 1, type: 1, stride: 148 },
    ]);
    forwarding.sort(1);
    const { outbound } = forwarding;
    expect([outbound.length, inbound.length]).toEqual([3, 0]);
    expect(outbound.arena).toBe(inbound.arena);
    expect([...outbound.offset.subarray(0, 3)]).toEqual([0, 3 * 1_452, 3 * 1_452 + 96]);
    expect([...outbound.count.subarray(0, 3)]).toEqual([3, 1, 1]);
    expect([...outbound.lastSize.subarray(0, 3)]).toEqual([100, 96, 148]);
    expect([...outbound.slot.subarray(0, 3)]).toEqual(Array(3).fill(SLOT_COMPLETE));
    expect([...outbound.endpoint.subarray(0, 3)]).toEqual(
      [2, 0xabcdef, 1].map((relayId) => core.slotOf(relayId)),
    );
    const head = (at: number): number[] => [...inbound.arena.subarray(at, at + 5)];
    for (let k = 0; k < 3; k++) expect(head(k * 1_452)).toEqual([4, 1, 0, 0, 0x55]);
    expect(head(3 * 1_452)).toEqual([4, 2, 0, 0, 0x55]);
    expect(head(3 * 1_452 + 96)).toEqual([1, 0xef, 0xcd, 0xab, 0x55]);
    expect([...forwarded]).toEqual([5, 2 * 1_452 + 100 + 96 + 148]);
  });

  it('keeps what is for the edge itself, as it was, and nothing of what is dropped', () => {
    const { core, inbound, forwarding, receive } = relay();
    receive([
      { from: 0, to: 77 },
      { from: 5, to: 0, type: 1, stride: 148 },
      { from: 0, to: 2 },
      { from: 7, to: 2 },
      { from: 1, to: 0, stride: 32, count: 2 },
    ]);
    const [second, fifth] = [1, 4].map((i) => [inbound.offset[i], inbound.first[i]]);
    forwarding.sort(1);
    expect([forwarding.outbound.length, inbound.length]).toEqual([1, 2]);
    expect([0, 1].map((i) => [inbound.offset[i], inbound.first[i]])).toEqual([second, fifth]);
    expect([...inbound.head.subarray(0, 2)]).toEqual([1, 4]);
    expect([...inbound.receiver.subarray(0, 2)]).toEqual([2, 5]);
    expect([...inbound.source.subarray(0, 2)]).toEqual([5, 1]);
    expect([...inbound.stride.subarray(0, 2)]).toEqual([148, 32]);
    expect([...inbound.count.subarray(0, 2)]).toEqual([1, 2]);
    expect(core.drops.entries()).toEqual([
      ['relay_unbound_source', 1],
      ['relay_unknown_destination', 1],
    ]);
  });

  it('allocates nothing', () => {
    setFlagsFromString('--expose-gc');
    const gc = runInNewContext('gc') as () => void;
    const { inbound, forwarding, forwarded, receive } = relay();
    const runs = Array.from({ length: RUNS }, (_, i) => {
      return { from: i % 2, to: 2 - (i % 2), count: 5, stride: 1_452 };
    });
    receive(runs);
    let now = 0;
    const round = (): void => {
      inbound.length = RUNS;
      now += 0.5;
      forwarding.sort(now);
    };
    for (let i = 0; i < 5_000; i++) round();
    gc();
    const before = process.memoryUsage().heapUsed;
    for (let i = 0; i < 5_000; i++) round();
    const after = process.memoryUsage().heapUsed;
    expect(forwarded[0]).toBe(10_000 * RUNS * 5);
    // 40,000 runs: less than one boxed number (16 bytes) for each of them.
    expect(after - before).toBeLessThan(40_000 * 16);
  });
});
