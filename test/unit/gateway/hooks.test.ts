/** Hooks: what they leave in the background, what ends them, what the log says of them. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { runHooks } from '../../../src/gateway/hooks.ts';

const log = pino({ level: 'silent' });
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'hooks-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

async function ended(pid: number): Promise<boolean> {
  for (let i = 0; i < 100; i++, await delay(20)) {
    try {
      // A zombie that nobody waits for has ended, too.
      if (/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))) return true;
    } catch {
      return true;
    }
  }
  return false;
}

const pidIn = (file: string): number => Number(readFileSync(join(folder, file), 'utf8'));

test('what a hook leaves in the background runs on, and is not waited for', async () => {
  const command = `sleep 60 & echo $! > ${folder}/pid; echo said`;
  const start = performance.now();
  await runHooks('PostUp', [command], 'wg0', log);
  expect(performance.now() - start).toBeLessThan(20_000);
  process.kill(pidIn('pid'), 'SIGKILL');
});

test('a signal ends a hook with what it started', async () => {
  const command = `sleep 60 & echo $! > ${folder}/pid; sleep 60; echo`;
  const start = performance.now();
  const running = runHooks('PreUp', [command], 'wg0', log, AbortSignal.timeout(500));
  await expect(running).rejects.toMatchObject({ code: 'COMMAND_FAILED' });
  expect(performance.now() - start).toBeLessThan(20_000);
  expect(await ended(pidIn('pid'))).toBe(true);
});

test('even one that ignores SIGTERM', async () => {
  const command = `trap '' TERM; while :; do sleep 1; done`;
  const running = runHooks('PreUp', [command], 'wg0', log, AbortSignal.timeout(500));
  await expect(running).rejects.toMatchObject({ code: 'COMMAND_FAILED' });
});

test('the text of a hook, which may hold a secret, is logged at debug only', async () => {
  const lines: string[] = [];
  const at = (level: string) => pino({ level }, { write: (line: string) => void lines.push(line) });
  await runHooks('PostUp', [': token=s3cret'], 'wg0', at('info'));
  expect(lines.join('')).toContain('"kind":"PostUp","number":1');
  expect(lines.join('')).not.toContain('s3cret');
  await runHooks('PostUp', [': token=s3cret'], 'wg0', at('debug'));
  expect(lines.join('')).toContain('s3cret');
});
