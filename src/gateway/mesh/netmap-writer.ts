/**
 * Writes the netmap in force to disk, for the next start: soon after it has changed, seldom where that
 * takes long, and again when it could not be written.
 */
import type { Log } from '../log.ts';
import { type CachedNetmap, removeNetmap, saveNetmap } from './netmap-cache.ts';
import type { StateDirectory } from './state-directory.ts';
import type { Turns } from './turns.ts';

/** A netmap that keeps changing is written to disk at most so often. */
const SAVE_AFTER_MS = 500;
/** And a large one more seldom: this many times what it takes to write it, so 2 % of the time. */
const SAVE_PAUSE = 50;
/** One that could not be written is written when there is room. */
const SAVE_AGAIN_MS = 10_000;

export interface NetmapWriterOptions {
  readonly state: StateDirectory;
  readonly turns: Turns;
  /** What is to be written; undefined = nothing. */
  readonly current: () => CachedNetmap | undefined;
  readonly log: Log;
}

export class NetmapWriter {
  /** Why the netmap in force is not on disk; undefined = it is, or will be in a moment. */
  fault: string | undefined;
  readonly #options: NetmapWriterOptions;
  #timer: NodeJS.Timeout | undefined;
  #took = 0;
  #closed = false;

  constructor(options: NetmapWriterOptions) {
    this.#options = options;
  }

  saveSoon(after = Math.max(SAVE_AFTER_MS, SAVE_PAUSE * this.#took)): void {
    const { turns } = this.#options;
    this.#timer ??= setTimeout(() => void turns.take(() => this.#save()), after);
  }

  /** Nothing of it is on disk any more. */
  async remove(): Promise<void> {
    this.#cancel();
    await removeNetmap(this.#options.state);
  }

  /** Writes what is not on disk yet. */
  async close(): Promise<void> {
    this.#closed = true;
    if (this.#timer !== undefined) await this.#save();
  }

  #cancel(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  async #save(): Promise<void> {
    this.#cancel();
    const { state, current, log } = this.#options;
    const cached = current();
    if (cached === undefined) return;
    const start = performance.now();
    try {
      await saveNetmap(state, cached);
      this.fault = undefined;
    } catch (error) {
      this.fault = (error as Error).message;
      log.error({ err: error }, 'the netmap could not be written, and that is tried again');
      if (!this.#closed) this.saveSoon(SAVE_AGAIN_MS);
    }
    this.#took = performance.now() - start;
  }
}
