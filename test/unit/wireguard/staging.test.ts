import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { STAGED_PACKETS, StagingBudget, StagingQueue } from '../../../src/wireguard/staging.ts';

function drain(queue: StagingQueue): Uint8Array[] {
  const packets: Uint8Array[] = [];
  while (queue.length > 0) {
    const packet = new Uint8Array(queue.firstLength());
    queue.copyFirst(packet, 0);
    queue.shift();
    packets.push(packet);
  }
  return packets;
}

function filled(length: number, value: number): Uint8Array {
  return new Uint8Array(length).fill(value);
}

describe('StagingQueue', () => {
  it('keeps the newest 128 packets, and counts the others', () => {
    const queue = new StagingQueue(new StagingBudget());
    let lost = 0;
    for (let i = 0; i < 200; i++) lost += queue.push(filled(100, i), 0, 100);
    expect(lost).toBe(200 - STAGED_PACKETS);
    expect(drain(queue).map((packet) => packet[0])).toEqual(
      Array.from({ length: STAGED_PACKETS }, (_, i) => 200 - STAGED_PACKETS + i),
    );
  });

  it('does not count keepalives as lost', () => {
    const queue = new StagingQueue(new StagingBudget());
    for (let i = 0; i < 200; i++) expect(queue.push(filled(0, 0), 0, 0)).toBe(0);
    queue.push(filled(9, 1), 0, 9);
    expect(queue.clear()).toBe(1);
    expect(queue.length).toBe(0);
  });

  it('is a queue of copies, of any sizes in any order', () => {
    const size = fc.oneof(
      fc.integer({ min: 0, max: 100 }),
      fc.integer({ min: 100, max: 2_000 }),
      fc.constant(65_535),
    );
    const step = fc.record({ push: fc.boolean(), size });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
        const budget = new StagingBudget(1_000_000);
        const queue = new StagingQueue(budget);
        let model: Uint8Array[] = [];
        const source = new Uint8Array(65_600);
        steps.forEach(({ push, size: length }, i) => {
          if (push) {
            source.fill(i);
            const lost = queue.push(source, i % 50, length);
            model.push(filled(length, i));
            // What was lost are the oldest.
            for (let k = 0; k < lost; ) if (model.shift()!.length > 0) k++;
            while (model.length > queue.length) model.shift();
          } else if (model.length > 0) {
            const packet = new Uint8Array(queue.firstLength());
            queue.copyFirst(packet, 0);
            queue.shift();
            expect(packet).toEqual(model.shift());
          }
          expect(queue.length).toBe(model.length);
        });
        expect(drain(queue)).toEqual(model);
        model = [];
        // Everything was given back.
        expect(budget.take(1_000_000)).toBe(true);
      }),
    );
  });

  it('shares a budget with other queues, and gives it back', () => {
    const budget = new StagingBudget(8_192);
    const first = new StagingQueue(budget);
    const second = new StagingQueue(budget);
    for (let i = 0; i < 10; i++) first.push(filled(1_000, i), 0, 1_000);
    expect(first.length).toBe(8);
    expect(second.push(filled(1_000, 0), 0, 1_000)).toBe(1);
    expect(second.length).toBe(0);
    expect(first.clear()).toBe(8);
    expect(second.push(filled(1_000, 0), 0, 1_000)).toBe(0);
  });
});
