/**
 * The audit log: one JSON object a line for every change, who made it, and what was before and after.
 *
 * Lines are written in batches beside the event loop, and a change is answered when its lines are in
 * the file.
 */
import { RotatingFile } from '../control/node/rotating-file.ts';

/** Of one file, in bytes; a batch that is larger has a file to itself. */
const MAX_SIZE = 16 << 20;
/** Full ones that are kept. */
const MAX_FILES = 8;
/** Characters that wait for the disk. */
const MAX_QUEUED = 32 << 20;

export interface Actor {
  /** `edge`: the edge itself, by what it saw. */
  readonly role: 'admin' | 'read-only' | 'replica' | 'enrolling' | 'edge';
  /** Name of the token, id of the replica or connector, or `local` for the unix socket. */
  readonly name: string;
  /** Address of the peer; `local` for the unix socket and the edge. */
  readonly source: string;
}

/** An edge changes something by itself. */
export const EDGE_ACTOR: Actor = { role: 'edge', name: 'edge', source: 'local' };

export interface AuditRecord {
  readonly actor: Actor;
  /** `connector.create`, `route.update`, `replica.bound` … */
  readonly action: string;
  /** Id of what was changed. */
  readonly target: string;
  /** Null = it was not there. */
  readonly before: unknown;
  /** Null = it is gone. */
  readonly after: unknown;
}

export interface AuditLogOptions {
  /** Told of each line that is not in the file, with why; and of a file that cannot be rotated. */
  readonly onFailure: (error: unknown, line: string) => void;
  readonly now?: () => number;
  readonly maxSize?: number;
  readonly maxFiles?: number;
  readonly maxQueued?: number;
}

/** Values of these fields never reach the log. They are hashes, but nobody needs them either. */
const SECRETS = /hash|secret|credential|token$/i;

export class AuditLog {
  readonly #file: RotatingFile;
  readonly #options: Required<AuditLogOptions>;
  #waiting: string[] = [];
  #queued = 0;
  /** The batch that takes what waits; undefined = one is to be made. */
  #next: Promise<void> | undefined;
  #last: Promise<void> = Promise.resolve();

  constructor(path: string, options: AuditLogOptions) {
    const limits = { maxSize: MAX_SIZE, maxFiles: MAX_FILES, maxQueued: MAX_QUEUED };
    this.#options = { now: Date.now, ...limits, ...options };
    const { maxSize, maxFiles, onFailure } = this.#options;
    const onStuck = (error: unknown): void => onFailure(error, 'the file is full and stays');
    this.#file = new RotatingFile(path, { maxSize, maxFiles, onStuck });
  }

  /** Resolves when the lines are in the file, or were reported; never rejects. */
  record(records: readonly AuditRecord[]): Promise<void> {
    if (records.length === 0) return this.#last;
    const { now, maxQueued, onFailure } = this.#options;
    const time = new Date(now()).toISOString();
    for (const one of records) {
      const line = format(time, one);
      if (this.#queued + line.length > maxQueued) {
        onFailure(new Error('too much waits for the disk'), line);
        continue;
      }
      this.#waiting.push(line);
      this.#queued += line.length;
    }
    this.#next ??= this.#last = this.#last.then(() => this.#write());
    return this.#next;
  }

  /** Resolves when all that was recorded is written. */
  close(): Promise<void> {
    return this.#last;
  }

  async #write(): Promise<void> {
    const lines = this.#waiting;
    const text = lines.join('');
    this.#waiting = [];
    this.#next = undefined;
    try {
      await this.#file.append(text);
    } catch (error) {
      // The changes are made and durable; what they were is not lost.
      for (const line of lines) this.#options.onFailure(error, line);
    }
    this.#queued -= text.length;
  }
}

function format(time: string, record: AuditRecord): string {
  const { actor, action, target, before, after } = record;
  const replaced = replacedSecrets(before, after);
  const more = replaced.length === 0 ? {} : { replaced };
  return `${JSON.stringify({ time, actor, action, target, before, after, ...more }, withoutSecrets)}\n`;
}

function withoutSecrets(key: string, value: unknown): unknown {
  return SECRETS.test(key) ? undefined : value;
}

/** Names of the secrets that are others than before: `credential`, `joinSecret`. */
function replacedSecrets(before: unknown, after: unknown): string[] {
  if (!isObject(before) || !isObject(after)) return [];
  return Object.keys(after)
    .filter((key) => SECRETS.test(key) && key.endsWith('Hash') && before[key] !== after[key])
    .map((key) => key.slice(0, -'Hash'.length));
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
