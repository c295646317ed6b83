/**
 * Longest-prefix match: lookups per second, one thread, 100,000 random prefixes a family.
 *
 * Prefix lengths as in real tables: IPv4 mostly /16 to /24, the rest /8 to /32; IPv6 /16 to /64 below
 * 2000::/3, and one in ten a host. Nine addresses in ten lie in one of the prefixes, chosen at random;
 * the tenth is random. The stream of addresses is longer than any cache, its order random.
 */
import { AllowedIps } from '../src/routing/allowed-ips.ts';

const PREFIXES = 100_000;
const LOOKUPS = 1 << 20;
const RUNS = 7;

/** xorshift32: the same table and addresses every time. */
function words(seed: number): () => number {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}

interface Workload {
  readonly table: AllowedIps;
  /** LOOKUPS addresses of 4 or 16 bytes, one behind the other. */
  readonly addresses: Uint8Array;
}

function workload(family: 4 | 6, next: () => number): Workload {
  const size = family === 4 ? 4 : 16;
  const length = (): number => {
    const one = next() % 10;
    if (family === 4) return one < 8 ? 16 + (next() % 9) : 8 + (next() % 25);
    return one === 0 ? 128 : 16 + (next() % 49);
  };
  const random = (bytes: Uint8Array): void => {
    for (let i = 0; i < size; i++) bytes[i] = next() >>> 9;
    if (family === 6) bytes[0] = 0x20 | (bytes[0]! & 0x1f);
  };
  const table = new AllowedIps();
  const bases = new Uint8Array(PREFIXES * size);
  const lengths = new Uint8Array(PREFIXES);
  while (table.size < PREFIXES) {
    const i = table.size;
    const base = bases.subarray(i * size, (i + 1) * size);
    random(base);
    lengths[i] = length();
    table.insertBytes(family, base, 0, lengths[i], i % 1_000);
  }
  const addresses = new Uint8Array(LOOKUPS * size);
  for (let i = 0; i < LOOKUPS; i++) {
    const address = addresses.subarray(i * size, (i + 1) * size);
    random(address);
    if (i % 10 === 0) continue;
    const chosen = next() % PREFIXES;
    for (let bit = 0; bit < lengths[chosen]!; bit += 8) {
      const at = bit >> 3;
      const mask = (0xff00 >> Math.min(8, lengths[chosen]! - bit)) & 0xff;
      address[at] = (bases[chosen * size + at]! & mask) | (address[at]! & ~mask);
    }
  }
  return { table, addresses };
}

/** Median over RUNS, after one run to warm up. */
function rate(run: () => number): number {
  const rates: number[] = [];
  for (let i = 0; i <= RUNS; i++) {
    const start = performance.now();
    if (run() === 0) throw new Error('no lookup found anything');
    if (i > 0) rates.push(LOOKUPS / ((performance.now() - start) / 1_000));
  }
  return rates.toSorted((a, b) => a - b)[RUNS >> 1]!;
}

/** Lookups per second in each family; takes about two seconds. */
export function measureLongestPrefixMatch(): { v4: number; v6: number } {
  const four = workload(4, words(1));
  const numbers = new Uint32Array(LOOKUPS);
  for (let i = 0; i < LOOKUPS; i++) {
    numbers[i] = new DataView(four.addresses.buffer).getUint32(i * 4);
  }
  const v4 = rate(() => {
    let found = 0;
    for (let i = 0; i < LOOKUPS; i++) {
      if (four.table.lookup4(numbers[i]!) >= 0) found++;
    }
    return found;
  });
  const six = workload(6, words(2));
  const v6 = rate(() => {
    let found = 0;
    for (let i = 0; i < LOOKUPS; i++) {
      if (six.table.lookup6(six.addresses, i * 16) >= 0) found++;
    }
    return found;
  });
  return { v4, v6 };
}
