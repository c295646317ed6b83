/**
 * Collects the items of a report, some at a time, each within its time and size and each for itself:
 * what fails or is not there is said in its place, and keeps nothing else from being there.
 */
import { open } from 'node:fs/promises';
import { CausewayError } from '../../errors.ts';
import { tryCommand } from '../../tun/command.ts';
import type { Redaction } from './redaction.ts';
import type { ReportItem } from './report-items.ts';

/** Bytes of one item, and milliseconds that it may take. */
export const MAX_ITEM = 1 << 20;
const ITEM_TIMEOUT_MS = 15_000;
/** Items at a time. */
const AT_ONCE = 4;

export interface CollectedItem {
  readonly name: string;
  /** Without secrets. */
  readonly text: string;
}

/** In the order of the items. */
export async function collect(
  items: readonly ReportItem[],
  redaction: Redaction,
  timeoutMs = ITEM_TIMEOUT_MS,
): Promise<CollectedItem[]> {
  const collected: CollectedItem[] = [];
  const left = items.entries();
  const work = async (): Promise<void> => {
    for (const [i, item] of left) {
      collected[i] = { name: item.name, text: redaction.clean(await textOf(item, timeoutMs)) };
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return collected;
}

async function textOf(item: ReportItem, timeoutMs: number): Promise<string> {
  try {
    if ('text' in item) return bounded(await item.text());
    if ('file' in item) return bounded(await readBounded(item.file));
    return await run(item.command, item.tail === true, timeoutMs);
  } catch (error) {
    const { message } = error as Error;
    return `(${error instanceof CausewayError ? 'not collected: ' : 'could not be read: '}${message})\n`;
  }
}

async function run(
  [file, ...args]: readonly [string, ...string[]],
  tail: boolean,
  timeoutMs: number,
): Promise<string> {
  const timeout = AbortSignal.timeout(timeoutMs);
  const { code, stdout, stderr } = await tryCommand(file, args, { signal: timeout, group: true });
  const head = file === 'sh' ? [] : [`$ ${[file, ...args].join(' ').slice(0, 300)}`];
  if (timeout.aborted) head.push(`(ended after ${timeoutMs / 1_000} s)`);
  else if (code !== 0) head.push(`(exit code ${code})`);
  const said = stderr.trim() === '' ? '' : `\n-- on stderr --\n${bounded(stderr.trim())}\n`;
  return `${head.map((line) => `${line}\n`).join('')}${bounded(stdout, tail)}${said}`;
}

/** One byte more than fits, so that it is seen. */
async function readBounded(path: string): Promise<string> {
  const file = await open(path, 'r');
  try {
    const buffer = Buffer.alloc(MAX_ITEM + 1);
    let length = 0;
    while (length < buffer.length) {
      const { bytesRead } = await file.read(buffer, length, buffer.length - length);
      if (bytesRead === 0) break;
      length += bytesRead;
    }
    return buffer.toString('utf8', 0, length);
  } finally {
    await file.close();
  }
}

/** What is cut is cut between lines, or words at least: half a secret would not be found. */
function bounded(text: string, tail = false): string {
  if (text.length <= MAX_ITEM) return text;
  if (tail) {
    const kept = text.slice(-MAX_ITEM);
    return `(the beginning was left out)\n${kept.slice(kept.search(/\n/) + 1 || kept.search(/[\s,;]/) + 1)}`;
  }
  const kept = text.slice(0, MAX_ITEM);
  const whole = kept.slice(0, kept.lastIndexOf('\n') + 1) || kept.replace(/[^\s,;]*$/, '');
  return `${whole}(${text.length - whole.length} more characters were left out)\n`;
}
