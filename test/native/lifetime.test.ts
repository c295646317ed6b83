/** What is opened is closed, what is bound is released, what is secret is wiped. */

import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { Process } from '../../lab/process.ts';
import {
  addon,
  openDescriptors,
  programPath,
  runProgram,
  sanitized,
  times,
} from './addon-under-test.ts';

describe('descriptors', () => {
  it('of a thousand sockets are all given back', () => {
    const before = openDescriptors();
    for (let i = 0; i < times(1000); i++) {
      for (const family of [4, 6] as const) {
        const { fd } = addon.openUdp(family, 0, 0, 1 << 16, true);
        addon.close(fd);
      }
    }
    expect(openDescriptors()).toBe(before);
  });

  it('of sockets that could not be opened are none', () => {
    const taken = addon.openUdp(4, 0, 0, 1 << 16, true);
    const before = openDescriptors();
    for (let i = 0; i < 100; i++) {
      const again = addon.openUdp(4, taken.port, 0, 1 << 16, true);
      expect(again).toMatchObject({ fd: -1, port: 0 });
      expect(again.error).toBeGreaterThan(0);
      expect(addon.openNetlink(0, taken.fd, 0, 4_096)).toBeLessThan(0);
    }
    expect(openDescriptors()).toBe(before);
    addon.close(taken.fd);
  });

  it('are not inherited by programs that are started', () => {
    const { fd } = addon.openUdp(4, 0, 0, 1 << 16, true);
    const netlink = addon.openNetlink(1, -1, 0, 4_096);
    for (const one of [fd, netlink]) {
      const flags = /flags:\s+(\d+)/.exec(readFileSync(`/proc/self/fdinfo/${one}`, 'utf8'))!;
      expect(Number.parseInt(flags[1]!, 8) & 0o2000000).toBe(0o2000000);
      addon.close(one);
    }
  });
});

describe('handles', () => {
  it('are released with their vectors, and keep the memory until then', async () => {
    expect(await runProgram('handle-lifetime')).toBe('released\nkept\n');
  });
});

/** How often each of the needles is in the memory of a process that it can write to. */
function occurrences(pid: number, needles: readonly Uint8Array[]): number[] {
  const found = needles.map(() => 0);
  const memory = openSync(`/proc/${pid}/mem`, 'r');
  try {
    for (const line of readFileSync(`/proc/${pid}/maps`, 'utf8').split('\n')) {
      const region = /^([0-9a-f]+)-([0-9a-f]+) rw/.exec(line);
      if (!region) continue;
      const [start, end] = [Number.parseInt(region[1]!, 16), Number.parseInt(region[2]!, 16)];
      const chunk = Buffer.alloc(Math.min(end - start, 1 << 24));
      // Chunks overlap, so that nothing hides on a border; what is found in both counts twice.
      for (let at = start; at < end; at += chunk.length - 64) {
        let got = 0;
        try {
          got = readSync(memory, chunk, 0, Math.min(chunk.length, end - at), at);
        } catch {
          break;
        }
        const view = chunk.subarray(0, got);
        for (const [n, needle] of needles.entries()) {
          for (let i = view.indexOf(needle); i >= 0; i = view.indexOf(needle, i + 1))
            found[n]! += 1;
        }
        if (got < chunk.length) break;
      }
    }
  } finally {
    closeSync(memory);
  }
  return found;
}

const keys = sanitized
  ? 'keys (skipped: the memory of AddressSanitizer is too large to search)'
  : 'keys';
describe.skipIf(sanitized)(keys, () => {
  // The same as in the programs, which never have it in a variable of their own for long.
  const key = (salt: number): Uint8Array =>
    Uint8Array.from({ length: 32 }, (__, i) => (i * i * 7 + i * 31 + salt) & 255);

  it('of a handshake and what they work on are nowhere once a function has answered', async () => {
    const child = new Process(
      spawn(process.execPath, [programPath('noise-holder')], {
        stdio: ['pipe', 'pipe', 'inherit'],
      }),
      'noise holder',
    );
    await child.line(/^done$/);
    // But for the point of X25519, which is public.
    const all = [1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14].map(key);
    expect(occurrences(child.pid, all)).toEqual(all.map(() => 0));
    await child.stop('SIGKILL');
  });

  it.each([
    ['primitives', ''],
    ['EVP', 'evp'],
  ])(
    'are in memory while they are set (%s), and nowhere once cleared, replaced or released',
    async (_, how) => {
      const child = new Process(
        spawn(process.execPath, [programPath('key-holder'), how], {
          stdio: ['pipe', 'pipe', 'inherit'],
        }),
        'key holder',
      );
      const all = [1, 2, 3, 4, 5, 6].map(key);
      await child.line(/^set$/);
      expect(Math.min(...occurrences(child.pid, all))).toBeGreaterThan(0);
      child.write('\n');
      await child.line(/^gone$/);
      expect(occurrences(child.pid, all)).toEqual(all.map(() => 0));
      await child.stop('SIGKILL');
    },
  );
});
