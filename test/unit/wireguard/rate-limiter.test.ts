import { describe, expect, it } from 'vitest';
import { ENDPOINT_RECORD_WORDS } from '../../../src/vector.ts';
import {
  HANDSHAKE_BURST,
  HANDSHAKES_PER_SECOND,
  RATE_LIMITER_CAPACITY,
  RateLimiter,
} from '../../../src/wireguard/rate-limiter.ts';

interface Source {
  readonly family?: 4 | 6;
  readonly address?: readonly number[];
  readonly port?: number;
  readonly relayId?: number;
}

function record({ family = 4, address = [], port = 0, relayId = 0 }: Source): Int32Array {
  const words = new Int32Array(ENDPOINT_RECORD_WORDS);
  words[0] = family | (port << 16);
  new Uint8Array(words.buffer).set(address, 4);
  words[11] = relayId;
  return words;
}

/** How many of 20 messages at one moment pass. */
function passing(limiter: RateLimiter, source: Int32Array, now: number): number {
  let passed = 0;
  for (let i = 0; i < 20; i++) if (limiter.allow(source, 0, now)) passed++;
  return passed;
}

describe('RateLimiter', () => {
  it('lets bursts of 5 and then 20 a second through', () => {
    const limiter = new RateLimiter(1);
    const source = record({ address: [192, 0, 2, 1] });
    expect(passing(limiter, source, 0)).toBe(HANDSHAKE_BURST);
    expect(passing(limiter, source, 49)).toBe(0);
    expect(passing(limiter, source, 50)).toBe(1);
    expect(passing(limiter, source, 150)).toBe(2);
    expect(passing(limiter, source, 1e9)).toBe(HANDSHAKE_BURST);
    let passed = 0;
    for (let now = 2e9; now < 2e9 + 10_000; now++) if (limiter.allow(source, 0, now)) passed++;
    expect(passed).toBe(10 * HANDSHAKES_PER_SECOND + HANDSHAKE_BURST - 1);
  });

  it('is not confused by a clock that stands still or goes back', () => {
    const limiter = new RateLimiter(1);
    const source = record({ address: [192, 0, 2, 1] });
    expect(passing(limiter, source, 1_000)).toBe(5);
    expect(passing(limiter, source, 0)).toBe(0);
  });

  it('tells sources apart by address and relay id, not by port, and IPv6 by its /64', () => {
    const limiter = new RateLimiter(7);
    const v6 = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1];
    expect(passing(limiter, record({ address: [192, 0, 2, 1], port: 1 }), 0)).toBe(5);
    expect(passing(limiter, record({ address: [192, 0, 2, 1], port: 2 }), 0)).toBe(0);
    expect(passing(limiter, record({ address: [192, 0, 2, 1], relayId: 1 }), 0)).toBe(5);
    expect(passing(limiter, record({ address: [192, 0, 2, 2] }), 0)).toBe(5);
    expect(passing(limiter, record({ family: 6, address: v6 }), 0)).toBe(5);
    expect(passing(limiter, record({ family: 6, address: [...v6.slice(0, 15), 2] }), 0)).toBe(0);
    v6[7] = 2;
    expect(passing(limiter, record({ family: 6, address: v6 }), 0)).toBe(5);
    expect(passing(limiter, record({ family: 6, address: [192, 0, 2, 1] }), 0)).toBe(5);
  });

  it('stays bounded under more sources than it holds, and remembers the recent ones', () => {
    const limiter = new RateLimiter(99);
    const busy = record({ address: [192, 0, 2, 1] });
    passing(limiter, busy, 0);
    let passed = 0;
    for (let i = 0; i < RATE_LIMITER_CAPACITY * 10; i++) {
      const address = [10, i >> 16, i >> 8, i];
      if (!limiter.allow(record({ address }), 0, i / 1_000)) passed--;
      if (i % 100 === 0 && limiter.allow(busy, 0, i / 1_000)) passed++;
    }
    // 41 ms have passed: the busy source has not even earned one.
    expect(passed).toBe(0);
  });
});
