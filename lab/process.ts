/**
 * Programs that the lab runs: commands that end by themselves, and background processes whose output
 * is awaited line by line. Nothing here sleeps; a deadline turns a wait that never ends into an
 * error that shows what the program had said.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

export interface RunOptions {
  readonly environment?: Readonly<Record<string, string>>;
  readonly input?: string | Uint8Array;
  /** Deadline; default 30 s. */
  readonly seconds?: number;
}

export interface Result {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command to its end, whatever its exit code. */
export function attempt(command: readonly string[], options: RunOptions = {}): Promise<Result> {
  const [program, ...args] = command as [string, ...string[]];
  const seconds = options.seconds ?? 30;
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      env: { ...process.env, ...options.environment },
      stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
      timeout: seconds * 1000,
      killSignal: 'SIGKILL',
    });
    let stdout = '';
    let stderr = '';
    child.stdout?.setEncoding('utf8').on('data', (text) => {
      stdout += text;
    });
    child.stderr?.setEncoding('utf8').on('data', (text) => {
      stderr += text;
    });
    child.on('error', reject);
    child.on('close', (code, signal) => {
      if (signal === 'SIGKILL') stderr += `\nended after ${seconds} s`;
      resolve({ code: code ?? 128, stdout, stderr });
    });
    // A program may end without reading its input; its exit code says enough.
    child.stdin?.on('error', () => undefined).end(options.input);
  });
}

/** Runs a command that must succeed; its standard output. */
export async function run(command: readonly string[], options: RunOptions = {}): Promise<string> {
  const { code, stdout, stderr } = await attempt(command, options);
  if (code !== 0) {
    throw new Error(`${command.join(' ')}: exit code ${code}\n${stderr.trim() || stdout.trim()}`);
  }
  return stdout;
}

/** Lines kept of a background process: enough to explain a failure. */
const KEPT_LINES = 1000;

/** A program in the background. Its pid is the program's own, not a wrapper's. */
export class Process {
  readonly pid: number;
  /** Exit code, or 128 after a signal. */
  readonly exited: Promise<number>;
  readonly lines: string[] = [];
  readonly #child: ChildProcess;
  readonly #title: string;
  /** Called with each line; gone when they return true. */
  readonly #waiters = new Set<(line: string) => boolean>();
  #running = true;

  constructor(child: ChildProcess, title: string) {
    if (child.pid === undefined) throw new Error(`${title}: could not be started`);
    this.#child = child;
    this.#title = title;
    this.pid = child.pid;
    this.exited = new Promise((resolve) => {
      child.on('close', (code) => {
        this.#running = false;
        resolve(code ?? 128);
      });
    });
    for (const stream of [child.stdout, child.stderr]) {
      if (stream) createInterface({ input: stream }).on('line', (line) => this.#line(line));
    }
    child.stdin?.on('error', () => undefined);
  }

  get running(): boolean {
    return this.#running;
  }

  #line(line: string): void {
    this.lines.push(line);
    if (this.lines.length > KEPT_LINES) this.lines.shift();
    for (const waiter of this.#waiters) {
      if (waiter(line)) this.#waiters.delete(waiter);
    }
  }

  /** The first line, past or to come, that matches. */
  async line(pattern: RegExp, seconds = 10): Promise<RegExpExecArray> {
    for (const line of this.lines) {
      const match = pattern.exec(line);
      if (match) return match;
    }
    return this.nextLine(pattern, seconds);
  }

  /** The next line to come that matches. */
  nextLine(pattern: RegExp, seconds = 10): Promise<RegExpExecArray> {
    return this.until((line) => pattern.exec(line) ?? undefined, String(pattern), seconds);
  }

  /** Looks at the lines to come until one of them gives a result. */
  async until<T>(look: (line: string) => T | undefined, what: string, seconds: number): Promise<T> {
    const seen = new Promise<{ found: T }>((resolve) => {
      this.#waiters.add((line) => {
        const found = look(line);
        if (found !== undefined) resolve({ found });
        return found !== undefined;
      });
    });
    const ended = this.exited.then((code) => `ended with ${code}`);
    const first = await before(seconds, Promise.race([seen, ended]), `${this.#title}: ${what}`);
    if (typeof first !== 'string') return first.found;
    throw new Error(`${this.#title}: ${first} before ${what}\n${this.lines.join('\n')}`);
  }

  write(text: string): void {
    this.#child.stdin?.write(text);
  }

  endInput(): void {
    this.#child.stdin?.end();
  }

  /** Signals it and waits for its end. */
  async stop(signal: NodeJS.Signals = 'SIGTERM', seconds = 10): Promise<number> {
    if (this.#running) process.kill(this.pid, signal);
    return before(seconds, this.exited, `${this.#title}: end after ${signal}`);
  }
}

/** The promise's value, or an error when it takes longer than a deadline. */
export async function before<T>(seconds: number, wanted: Promise<T>, what: string): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => reject(new Error(`${what}: not within ${seconds} s`)),
    seconds * 1000,
  );
  try {
    return await Promise.race([wanted, promise]);
  } finally {
    clearTimeout(timer);
  }
}
