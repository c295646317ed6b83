/**
 * Running the system's own tools: `ip`, `nft`, `resolvconf`, `bash`. Never through a shell, so that
 * no name or address is ever a command.
 */
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { CausewayError } from '../errors.ts';

/** What a tool may print before it is cut off. */
const MAX_OUTPUT = 64 * 1024 * 1024;

/** How long a tool may take to end after SIGTERM. */
const KILL_AFTER_MS = 1_000;

/** How long the output of an ended shell is still read: what it left running may hold the pipes. */
const DRAIN_MS = 100;

/** Debian package by tool, for the sentence that says what to install. */
const PACKAGES: Readonly<Record<string, string>> = {
  ip: 'iproute2',
  nft: 'nftables',
  resolvconf: 'openresolv',
  bash: 'bash',
};

export interface CommandOptions {
  /** Written to its standard input, which is empty otherwise. */
  readonly input?: string;
  /** Ends it (SIGTERM, then SIGKILL) when aborted. */
  readonly signal?: AbortSignal;
  /**
   * It may start others: it gets a process group of its own, all of which is ended on `signal`, and
   * what it leaves in the background is not waited for.
   */
  readonly group?: boolean;
}

export interface CommandResult {
  /** Exit code; 128 + n after signal n. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs a tool to its end, whatever its exit code.
 *
 * @throws CausewayError COMMAND_MISSING
 */
export function tryCommand(
  file: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  const { promise, resolve, reject } = Promise.withResolvers<CommandResult>();
  // A service's PATH often lacks the directories of the administrator's tools.
  const path = `${process.env.PATH ?? ''}:/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin`;
  const group = options.group === true;
  const child = spawn(file, args, {
    env: { ...process.env, PATH: path },
    stdio: 'pipe',
    detached: group,
  });
  const kill = (signal: NodeJS.Signals): void => {
    if (!group || child.pid === undefined) return void child.kill(signal);
    try {
      process.kill(-child.pid, signal);
    } catch {
      // All of the group has ended.
    }
  };
  let killTimer: NodeJS.Timeout | undefined;
  const onAbort = (): void => {
    kill('SIGTERM');
    killTimer = setTimeout(kill, KILL_AFTER_MS, 'SIGKILL');
  };
  options.signal?.addEventListener('abort', onAbort, { once: true });
  if (options.signal?.aborted) onAbort();
  let drainTimer: NodeJS.Timeout | undefined;
  const stopWaiting = (): void => {
    options.signal?.removeEventListener('abort', onAbort);
    clearTimeout(killTimer);
    clearTimeout(drainTimer);
  };
  const output = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8');
    child[name].on('data', (text: string) => {
      if (output[name].length < MAX_OUTPUT) output[name] += text;
    });
  }
  child.stdin.on('error', () => {});
  child.stdin.end(options.input ?? '');
  child.on('error', (error: NodeJS.ErrnoException) => {
    stopWaiting();
    if (error.code !== 'ENOENT') reject(error);
    const name = PACKAGES[file];
    const cure =
      name === undefined ? 'Install it.' : `Install it, on Debian with \`apt install ${name}\`.`;
    reject(new CausewayError('COMMAND_MISSING', `The command ${file} is not here. ${cure}`));
  });
  const onEnd = (code: number | null, signal: NodeJS.Signals | null): void => {
    stopWaiting();
    // Whoever of the group has not ended on SIGTERM.
    if (group && options.signal?.aborted) kill('SIGKILL');
    for (const pipe of [child.stdin, child.stdout, child.stderr]) pipe.destroy();
    resolve({ code: code ?? (signal === null ? 1 : 128 + constants.signals[signal]), ...output });
  };
  child.on('close', onEnd);
  if (group) {
    child.on('exit', (code, signal) => {
      drainTimer = setTimeout(onEnd, DRAIN_MS, code, signal);
    });
  }
  return promise;
}

/**
 * Runs a tool and returns what it printed.
 *
 * @throws CausewayError COMMAND_MISSING; PERMISSION or COMMAND_FAILED with the tool's own words
 */
export async function runCommand(
  file: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<string> {
  const { code, stdout, stderr } = await tryCommand(file, args, options);
  if (code === 0) return stdout;
  const words = stderr.trim().split('\n')[0] || `exit code ${code}`;
  const command = [file, ...args].join(' ');
  if (/operation not permitted|permission denied/i.test(words)) {
    throw new CausewayError(
      'PERMISSION',
      `\`${command}\` was not permitted: run as root, or with CAP_NET_ADMIN.`,
    );
  }
  throw new CausewayError('COMMAND_FAILED', `\`${command}\` failed: ${words}`);
}

/**
 * `ip -batch` with the given lines of one family, or nothing if there are none.
 *
 * @throws CausewayError as `runCommand`, naming the line that failed
 */
export async function ipBatch(family: 4 | 6, lines: readonly string[]): Promise<void> {
  if (lines.length === 0) return;
  const input = `${lines.join('\n')}\n`;
  const { code, stderr } = await tryCommand('ip', [`-${family}`, '-batch', '-'], { input });
  if (code === 0) return;
  const failed = lines[Number(/Command failed -:(\d+)/.exec(stderr)?.[1] ?? 0) - 1];
  const words = stderr.trim().split('\n')[0] ?? '';
  if (/operation not permitted/i.test(stderr)) {
    throw new CausewayError(
      'PERMISSION',
      'No permission to change addresses and routes: run as root, or with CAP_NET_ADMIN.',
    );
  }
  throw new CausewayError(
    'COMMAND_FAILED',
    `\`ip -${family} ${failed ?? '-batch'}\` failed: ${words}`,
  );
}

/** As `ipBatch`, going on after a line that fails and keeping quiet: for taking things away. */
export async function ipBatchForced(family: 4 | 6, lines: readonly string[]): Promise<void> {
  if (lines.length === 0) return;
  const input = `${lines.join('\n')}\n`;
  await tryCommand('ip', [`-${family}`, '-force', '-batch', '-'], { input });
}

/** An object of unknown contents. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** What `ip -json ARGS` printed, parsed; an empty list where it printed nothing or failed. */
export async function ipJson(args: readonly string[]): Promise<JsonObject[]> {
  const { code, stdout } = await tryCommand('ip', ['-json', ...args]);
  if (code !== 0 || stdout.trim() === '') return [];
  return objectsOf(JSON.parse(stdout));
}

/** The objects in a value that should be an array of them. */
export function objectsOf(value: unknown): JsonObject[] {
  if (!Array.isArray(value)) return [];
  return value.filter((item): item is JsonObject => typeof item === 'object' && item !== null);
}

export function stringOf(object: JsonObject | undefined, key: string): string | undefined {
  const value = object?.[key];
  return typeof value === 'string' ? value : undefined;
}

export function numberOf(object: JsonObject | undefined, key: string): number | undefined {
  const value = object?.[key];
  return typeof value === 'number' ? value : undefined;
}
