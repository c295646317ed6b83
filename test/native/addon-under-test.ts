/** What the tests of the addon share: the addon, ways to fill its vectors, programs around it. */
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { vi } from 'vitest';
import { run } from '../../lab/process.ts';
import { type Addon, loadAddon } from '../../src/native/addon.ts';
import { InboundVector, MESSAGE_OVERHEAD, OutboundVector } from '../../src/vector.ts';

// Starting a node takes its time where others want the processor too.
vi.setConfig({ testTimeout: 60_000 });

export const addon: Addon = loadAddon();

/** Set by scripts/sanitize: the addon is built with AddressSanitizer, and slower. */
export const sanitized = process.env.CAUSEWAY_SANITIZED === '1';

/** What is done a thousand times is done less often where it takes three times as long. */
export const times = (count: number): number => (sanitized ? Math.ceil(count / 5) : count);

/** Every function of the addon, for calls that its types forbid. */
export const untyped = addon as unknown as Record<string, (...args: unknown[]) => unknown>;

export const openDescriptors = (): number => readdirSync('/proc/self/fd').length;

/** Runs one of `programs/` with the same node and addon; its standard output. */
export function runProgram(name: string, ...args: string[]): Promise<string> {
  return run([process.execPath, '--expose-gc', programPath(name), ...args], { seconds: 60 });
}

export const programPath = (name: string): string =>
  fileURLToPath(new URL(`programs/${name}.ts`, import.meta.url));

export interface RunShape {
  readonly count: number;
  /** Bytes of plaintext of every message but the last, and of the last. */
  readonly size: number;
  readonly lastSize: number;
  readonly counter: number;
  readonly slot: number;
}

/** Runs with `gap` bytes before each; every byte of the arena is a number that depends on `seed`. */
export function outboundOf(runs: readonly RunShape[], gap: number, seed: number): OutboundVector {
  const bytes = runs.reduce(
    (sum, { count, size, lastSize }) =>
      sum + gap + (count - 1) * (size + MESSAGE_OVERHEAD) + lastSize + MESSAGE_OVERHEAD,
    gap,
  );
  const vector = new OutboundVector(runs.length, bytes);
  let state = seed;
  for (let i = 0; i < bytes; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    vector.arena[i] = state >>> 24;
  }
  for (const { count, size, lastSize, counter, slot } of runs) {
    const i = vector.length++;
    vector.used += gap;
    vector.offset[i] = vector.used;
    vector.count[i] = count;
    vector.stride[i] = size + MESSAGE_OVERHEAD;
    vector.lastSize[i] = lastSize + MESSAGE_OVERHEAD;
    vector.head[i] = 4;
    vector.receiver[i] = 0x01020304 * (i + 1);
    vector.counter[i] = counter;
    vector.slot[i] = slot;
    vector.used += (count - 1) * vector.stride[i]! + vector.lastSize[i]!;
  }
  return vector;
}

/** The same messages as if they had come by a socket. */
export function inboundOf(sent: OutboundVector): InboundVector {
  const messages = sent.count.subarray(0, sent.length).reduce((sum, count) => sum + count, 0);
  const vector = new InboundVector(sent.length, messages, sent.arena.length, 1);
  vector.arena.set(sent.arena);
  for (let i = 0; i < sent.length; i++) {
    vector.offset[i] = sent.offset[i]!;
    vector.stride[i] = sent.stride[i]!;
    vector.count[i] = sent.count[i]!;
    vector.lastSize[i] = sent.lastSize[i]!;
    vector.slot[i] = sent.slot[i]!;
    vector.first[i] = vector.messages;
    vector.messages += sent.count[i]!;
  }
  vector.length = sent.length;
  return vector;
}
