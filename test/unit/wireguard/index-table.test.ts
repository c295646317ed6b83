import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { IndexTable } from '../../../src/wireguard/index-table.ts';
import { NumberAllocator } from '../../../src/wireguard/number-allocator.ts';
import type { Peer } from '../../../src/wireguard/peer.ts';

const peer = (number: number) => ({ number }) as Peer;

describe('IndexTable', () => {
  it('agrees with a Map under insertions and removals that collide', () => {
    // Few low bits, so that they probe; some beyond 2^31.
    const index = fc
      .tuple(fc.integer({ min: 0, max: 7 }), fc.integer({ min: 0, max: 5 }))
      .map(([low, high]) => (high * 0x30000000 + 0x1000_0008 + low) >>> 0);
    const step = fc.record({ index, insert: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
        const table = new IndexTable(48);
        const model = new Map<number, number>();
        steps.forEach(({ index: key, insert }, i) => {
          if (insert) {
            table.insert(key, peer(i), undefined);
            model.set(key, i);
          } else {
            table.remove(key);
            model.delete(key);
          }
          expect(table.size).toBe(model.size);
        });
        for (let high = 0; high <= 5; high++) {
          for (let low = 0; low < 8; low++) {
            const key = (high * 0x30000000 + 0x1000_0008 + low) >>> 0;
            const place = table.find(key);
            expect(place < 0 ? undefined : table.peerAt(place)?.number).toBe(model.get(key));
          }
        }
      }),
    );
  });

  it('never finds index 0 and refuses to hold it, or more than it has room for', () => {
    const table = new IndexTable(8);
    expect(table.find(0)).toBe(-1);
    expect(() => table.insert(0, peer(0), undefined)).toThrow();
    const full = new IndexTable(8);
    for (let i = 1; i <= 8; i++) full.insert(i, peer(i), undefined);
    expect(() => full.insert(9, peer(9), undefined)).toThrow('overflow');
  });

  it('grows with what it holds', () => {
    const table = new IndexTable(10_000);
    const indexes = Array.from({ length: 10_000 }, (_, i) => Math.imul(i + 1, 0x9e3779b1) >>> 0);
    indexes.forEach((index, i) => {
      table.insert(index, peer(i), undefined);
    });
    indexes.forEach((index, i) => {
      expect(table.peerAt(table.find(index))?.number).toBe(i);
    });
    for (const index of indexes) table.remove(index);
    expect(table.size).toBe(0);
    expect(indexes.every((index) => table.find(index) === -1)).toBe(true);
  });

  it('forgets the keypair and the peer of a removed index', () => {
    const table = new IndexTable(8);
    table.insert(0xffff_ffff, peer(1), undefined);
    const place = table.find(0xffff_ffff);
    table.remove(0xffff_ffff);
    expect(table.peerAt(place)).toBeUndefined();
    expect(table.find(0xffff_ffff)).toBe(-1);
  });
});

describe('NumberAllocator', () => {
  it('gives each slot once, low ones first, and says when there is none', () => {
    const slots = new NumberAllocator(3);
    expect([slots.take(), slots.take(), slots.take(), slots.take()]).toEqual([0, 1, 2, -1]);
    slots.give(1);
    expect(slots.available).toBe(1);
    expect([slots.take(), slots.take()]).toEqual([1, -1]);
  });
});
