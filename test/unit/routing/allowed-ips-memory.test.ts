/** What tables of the sizes that matter cost, and that churn does not make them grow. */
import { describe, expect, it } from 'vitest';
import { AllowedIps, NO_VALUE } from '../../../src/routing/allowed-ips.ts';
import { Ipv4Table } from '../../../src/routing/ipv4-table.ts';

const MB = 1_000_000;

/** Deterministic 32-bit words (xorshift32). */
function words(seed: number): () => number {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}

function randomAddress(next: () => number, size: 4 | 16): Uint8Array {
  const bytes = new Uint8Array(size);
  for (let i = 0; i < size; i++) bytes[i] = next() >>> 11;
  return bytes;
}

/** The root's two arrays for each family: address space that is only backed where it is used. */
const ROOTS = new AllowedIps().allocatedBytes;

describe('memory of allowed IPs', { timeout: 60_000 }, () => {
  it('costs almost nothing when empty, a few megabytes with 10,000 routes', () => {
    expect(ROOTS).toBeLessThan(2.2 * MB);
    const table = new AllowedIps();
    const next = words(1);
    for (let i = 0; i < 5_000; i++) {
      table.insertBytes(4, randomAddress(next, 4), 0, 8 + (next() % 25), i % 1_000);
      table.insertBytes(6, randomAddress(next, 16), 0, 16 + (next() % 113), i % 1_000);
    }
    expect(table.allocatedBytes - ROOTS).toBeLessThan(2 * MB);
  });

  it('holds 65,280 networks and as many hosts, finds each, and gives the memory back', () => {
    const table = new AllowedIps();
    const v4 = new Uint8Array(4);
    const v6 = new Uint8Array(16);
    v6.set([0x20, 0x01, 0x0d, 0xb8]);
    const each = (visit: (i: number) => void): void => {
      for (let i = 0; i < 65_280; i++) {
        v4[0] = 1 + (i >>> 8);
        v4[1] = i;
        v6[14] = i >>> 8;
        v6[15] = i;
        visit(i);
      }
    };
    each((i) => {
      expect(table.insertBytes(4, v4, 0, 16, i)).toBe(NO_VALUE);
      expect(table.insertBytes(6, v6, 0, 128, i)).toBe(NO_VALUE);
    });
    expect(table.size).toBe(130_560);
    expect(table.allocatedBytes - ROOTS).toBeLessThan(12 * MB);
    each((i) => {
      if (table.lookup4((v4[0]! << 24) | (v4[1]! << 16) | 77) !== i) throw new Error(`v4 ${i}`);
      if (table.lookup6(v6, 0) !== i) throw new Error(`v6 ${i}`);
    });
    each((i) => {
      if (table.removeValue(i) !== 2) throw new Error(`value ${i}`);
    });
    expect(table.size).toBe(0);
    expect(table.lookup6(v6, 0)).toBe(NO_VALUE);
    expect(table.allocatedBytes - ROOTS).toBeLessThan(0.1 * MB);
  });

  it('keeps no node that it does not need', () => {
    const table = new Ipv4Table();
    const address = (region: number, host: number): number => ((10 << 24) | (region << 16)) + host;
    for (let region = 0; region < 100; region++) {
      for (let host = 0; host < 20; host++) table.insert(address(region, host), 32, host);
    }
    // Two nodes a region: one holds hosts 0 to 15, one above it has the bucket of 16 to 19.
    expect(table.nodeCount).toBe(200);
    for (let region = 0; region < 100; region++) table.insert(address(region, 0x8000), 32, 1);
    expect(table.nodeCount).toBe(300);
    for (let region = 0; region < 100; region++) table.remove(address(region, 0x8000), 32);
    expect(table.nodeCount).toBe(200);
    for (let region = 0; region < 100; region++) {
      for (let host = 1; host < 20; host++) table.remove(address(region, host), 32);
    }
    expect(table.nodeCount).toBe(0);
    expect(table.size).toBe(100);
    for (let region = 0; region < 100; region++) {
      expect(table.lookup(address(region, 0))).toBe(0);
      expect(table.lookup(address(region, 1))).toBe(-1);
    }
  });

  it('does not grow under churn, nor when peers are replaced again and again', () => {
    const table = new AllowedIps();
    const next = words(2);
    const live: [4 | 6, Uint8Array, number][] = [];
    const insert = (): void => {
      const family = next() & 1 ? 4 : 6;
      const bytes = randomAddress(next, family === 4 ? 4 : 16);
      // Half of them crowd into one /16 or one /112.
      if (next() & 1) bytes.fill(10, 0, bytes.length - 2);
      const length = family === 4 ? 8 + (next() % 25) : 16 + (next() % 113);
      table.insertBytes(family, bytes, 0, length, next() % 100);
      live.push([family, bytes, length]);
    };
    for (let i = 0; i < 10_000; i++) insert();
    const churn = (rounds: number): void => {
      for (let i = 0; i < rounds; i++) {
        const at = next() % live.length;
        const [family, bytes, length] = live[at]!;
        live[at] = live.at(-1)!;
        live.pop();
        table.removeBytes(family, bytes, 0, length);
        insert();
      }
    };
    churn(20_000);
    const settled = table.allocatedBytes;
    churn(100_000);
    expect(table.allocatedBytes).toBeLessThan(settled * 1.3);
    for (let round = 0; round < 20; round++) {
      const all = [...table.entries()];
      for (let value = 0; value < 100; value++) table.removeValue(value);
      expect(table.size).toBe(0);
      for (const [prefix, value] of all) table.insert(prefix, value);
      expect(table.size).toBe(all.length);
    }
    expect(table.allocatedBytes).toBeLessThan(settled * 1.6);
  });
});
