/**
 * Where the flow log's lines go, in a file: gathered for a moment, then written in one piece beside the
 * event loop. What the disk does not take is dropped and counted, and the file says so at the place
 * when it can be written again.
 */
import { RotatingFile } from '../../control/node/rotating-file.ts';
import type { LineTarget } from './line-target.ts';

/** ms in which lines are gathered. */
const GATHER_MS = 500;
/** Characters that are written at once when there are so many. */
const BATCH = 256 << 10;
/** Characters that wait for the disk. */
const MAX_WAITING = 8 << 20;

export interface LineFileOptions {
  /** Bytes of one file. */
  readonly maxSize: number;
  /** Full ones that are kept. */
  readonly maxFiles: number;
  /** A line for what is missing; `records` were dropped. */
  readonly gap: (records: number, reason: string) => string;
  /** The fault has changed; undefined = there is none any more. */
  readonly onFault: (fault: string | undefined) => void;
}

export class LineFile implements LineTarget {
  readonly #file: RotatingFile;
  readonly #options: LineFileOptions;
  #lines: string[] = [];
  #size = 0;
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> | undefined;
  /** Lines that are missing since the last that is in the file. */
  #missing = 0;
  written = 0;
  dropped = 0;
  fault: string | undefined;

  constructor(path: string, options: LineFileOptions) {
    const { maxSize, maxFiles } = options;
    this.#options = options;
    this.#file = new RotatingFile(path, {
      maxSize,
      maxFiles,
      onStuck: (error) => this.#say(`a full file cannot be moved aside: ${reasonOf(error)}`),
    });
  }

  write(line: string): void {
    if (this.#size + line.length > MAX_WAITING) {
      this.#drop(1);
      return;
    }
    this.#lines.push(line);
    this.#size += line.length;
    if (this.#writing !== undefined) return;
    if (this.#size >= BATCH) this.#start();
    else this.#timer ??= setTimeout(() => this.#start(), GATHER_MS);
  }

  /** Resolves when all that waited is written, or dropped. */
  async close(): Promise<void> {
    while (this.#size > 0 || this.#writing !== undefined) {
      if (this.#writing === undefined) this.#start();
      await this.#writing;
    }
  }

  #start(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#writing = this.#write().finally(() => {
      this.#writing = undefined;
      if (this.#size > 0) this.#timer ??= setTimeout(() => this.#start(), GATHER_MS);
    });
  }

  async #write(): Promise<void> {
    const lines = this.#lines;
    const missing = this.#missing;
    this.#lines = [];
    this.#size = 0;
    const gap = missing === 0 ? '' : this.#options.gap(missing, this.fault ?? 'too many at once');
    try {
      await this.#file.append(gap + lines.join(''));
      this.written += lines.length;
      this.#missing -= missing;
      this.#say(undefined);
    } catch (error) {
      this.#drop(lines.length);
      this.#say(reasonOf(error));
    }
  }

  #drop(lines: number): void {
    this.dropped += lines;
    this.#missing += lines;
  }

  #say(fault: string | undefined): void {
    if (fault === this.fault) return;
    this.fault = fault;
    this.#options.onFault(fault);
  }
}

const REASONS: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full',
  EDQUOT: 'the quota is used up',
  ENOENT: 'the directory is not there',
  EACCES: 'it may not be written to',
  EROFS: 'the file system is read-only',
  EISDIR: 'it is a directory',
};

function reasonOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return REASONS[code ?? ''] ?? message;
}
