/**
 * Into the background, but only when it is ready: the command starts itself again, detached, and
 * waits on a pipe (file descriptor 3 of the child) for `ready` or for the sentence that says why not.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, fstatSync, writeSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { CausewayError, ERROR_CODES, type ErrorCode } from '../errors.ts';

/** Set for the child: the file descriptor to report on. */
const READY_VARIABLE = 'CAUSEWAY_READY_FD';
const READY_FD = 3;
/** Set for the child of a command with a join token. */
const TOKEN_VARIABLE = 'CAUSEWAY_JOIN_TOKEN';
const TOKEN_OPTION = '--token';
/** A failure is one sentence. */
const MAX_REPORT_LENGTH = 65_536;
/** The log has them all. */
const MAX_WARNINGS = 20;

type Report =
  | { readonly warnings: readonly string[] }
  | { readonly code?: ErrorCode; readonly message: string };

/** The child's end of the pipe. */
export interface ReadinessPipe {
  /** @param warnings sentences for the operator, who is still looking */
  ready(warnings?: readonly string[]): void;
  failed(error: unknown): void;
}

/** The pipe, if this process was started by `startInBackground`; to be asked once. */
export function inheritedReadinessPipe(): ReadinessPipe | undefined {
  if (process.env[READY_VARIABLE] !== String(READY_FD)) return undefined;
  delete process.env[READY_VARIABLE];
  let open = true;
  const report = (value: Report): void => {
    if (!open) return;
    open = false;
    try {
      writeSync(READY_FD, `${JSON.stringify(value)}\n`);
      closeSync(READY_FD);
    } catch {
      // The parent was killed meanwhile; the daemon is none the worse for it.
    }
  };
  return {
    ready: (warnings = []) => report({ warnings: warnings.slice(0, MAX_WARNINGS) }),
    failed: (error) => {
      const message = error instanceof Error ? error.message : String(error);
      report(error instanceof CausewayError ? { code: error.code, message } : { message });
    },
  };
}

/**
 * Starts this very command again in a session of its own and returns when it is ready. A signal
 * meanwhile is passed on, and the child's end waited for.
 *
 * @returns warnings of the child
 * @throws CausewayError the child's own, or START_FAILED if it died without a word
 */
export async function startInBackground(): Promise<readonly string[]> {
  const { words, secret } = withoutSecret(process.argv.slice(1));
  const child = spawn(process.execPath, [...process.execArgv, ...words], {
    detached: true,
    stdio: ['ignore', 'ignore', keepsStderr() ? 'inherit' : 'ignore', 'pipe'],
    env: {
      ...process.env,
      [READY_VARIABLE]: String(READY_FD),
      ...(secret === undefined ? {} : { [TOKEN_VARIABLE]: secret }),
    },
  });
  const forward = (signal: NodeJS.Signals): void => void child.kill(signal);
  process.on('SIGINT', forward);
  process.on('SIGTERM', forward);
  try {
    return await reported(child);
  } finally {
    process.removeListener('SIGINT', forward);
    process.removeListener('SIGTERM', forward);
    child.unref();
  }
}

/**
 * A command line without its join token: everybody can read a process's command line, for as long as
 * the daemon runs, but only its owner the environment.
 */
function withoutSecret(words: readonly string[]): { words: string[]; secret: string | undefined } {
  const left: string[] = [];
  let secret: string | undefined;
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    if (word === TOKEN_OPTION) secret = words[++i];
    else if (word.startsWith(`${TOKEN_OPTION}=`)) secret = word.slice(TOKEN_OPTION.length + 1);
    else left.push(word);
  }
  return { words: left, secret };
}

/** The join token that `startInBackground` took off the command line; to be asked once. */
export function inheritedToken(): string | undefined {
  const token = process.env[TOKEN_VARIABLE];
  delete process.env[TOKEN_VARIABLE];
  return token;
}

/**
 * A daemon in the background logs nowhere, except where LOG_LEVEL was set and stderr is a terminal
 * or a file. Never into a pipe: whoever captures the output would wait for the daemon's end.
 */
function keepsStderr(): boolean {
  const level = process.env.LOG_LEVEL ?? '';
  if (level === '' || level === 'silent') return false;
  try {
    const stderr = fstatSync(2);
    return stderr.isCharacterDevice() || stderr.isFile();
  } catch {
    return false;
  }
}

async function reported(child: ChildProcess): Promise<readonly string[]> {
  const exited = new Promise<string>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => {
      resolve(signal === null ? `exit code ${code}` : `signal ${signal}`);
    });
  });
  exited.catch(() => {});
  const text = await readAll(child.stdio[READY_FD] as Readable);
  const report = parseReport(text);
  if (report === undefined) {
    const how = await exited.catch((error: Error) => error.message);
    throw new CausewayError(
      'START_FAILED',
      `The daemon ended before it was ready (${how}): run it with --foreground to see why.`,
    );
  }
  if ('warnings' in report) return report.warnings;
  await exited.catch(() => {});
  throw new CausewayError(report.code ?? 'START_FAILED', report.message);
}

async function readAll(stream: Readable): Promise<string> {
  let text = '';
  stream.setEncoding('utf8');
  for await (const part of stream) {
    text += part;
    if (text.length > MAX_REPORT_LENGTH) break;
  }
  return text;
}

/** By hand: the schemas' library costs more start-up time than everything else here. */
function parseReport(text: string): Report | undefined {
  try {
    const value = JSON.parse(text) as Record<string, unknown>;
    if (Array.isArray(value.warnings)) return { warnings: value.warnings.map(String) };
    if (typeof value.message !== 'string') return undefined;
    const code = ERROR_CODES.find((known) => known === value.code);
    return { message: value.message, ...(code && { code }) };
  } catch {
    return undefined;
  }
}
