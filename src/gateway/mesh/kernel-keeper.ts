/**
 * Has the kernel as the netmap wants it: what was refused is tried again, with growing waits, until it
 * is in place or something else is wanted. A netmap is in force whether or not all of it fits.
 *
 * What somebody else takes away is put back at once, and with growing waits when it happens again and
 * again (contention.ts).
 */
import type { KernelPart } from '../../tun/kernel-monitor.ts';
import type { Log } from '../log.ts';
import { Backoff } from './backoff.ts';
import { Contention } from './contention.ts';
import type { MeshKernel } from './mesh-kernel.ts';
import type { WantedKernel } from './wanted-kernel.ts';

/** ms */
const MOST_WAIT_FOR_LOCAL = 1_000;

export interface KernelKeeperOptions {
  readonly kernel: Pick<MeshKernel, 'apply' | 'changed' | 'lookAtTables' | 'replan'>;
  /** Unix time in ms. */
  readonly now: () => number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** Something was tried again by itself, and the kernel may have more than before, or less. */
  readonly onRetried: () => void;
  readonly log: Log;
}

export class KernelKeeper {
  /** What the kernel, or its tools, refused last; undefined = all is in place. */
  fault: string | undefined;
  readonly #options: KernelKeeperOptions;
  readonly #backoff: Backoff;
  readonly #contention = new Contention();
  #restoring: NodeJS.Timeout | undefined;
  #restoreAt = 0;
  /** What was refused last, to be tried again. */
  #step: () => Promise<void> = async () => {};
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: KernelKeeperOptions) {
    this.#options = options;
    this.#backoff = new Backoff(options.random);
  }

  /** Resolves after the first attempt, whether or not it succeeded. */
  async apply(wanted: WantedKernel): Promise<void> {
    this.#backoff.reset();
    this.#step = () => this.#options.kernel.apply(wanted);
    await this.#attempt();
  }

  /** Somebody else takes things away again and again: a sentence. */
  get contention(): string | undefined {
    return this.#contention.sentence(this.#options.now());
  }

  /**
   * Somebody else changed these parts of the kernel's set-up. While something is refused, all of it is
   * tried again. Resolves at once when what follows from it has to wait.
   */
  async changed(parts: ReadonlySet<KernelPart>): Promise<void> {
    const { kernel, now } = this.#options;
    kernel.changed(parts);
    const contended = this.#contention.wait(now());
    // Other routes of this host may be in conflict with ours: that does not wait for long.
    const wait = parts.has('local') ? Math.min(contended, MOST_WAIT_FOR_LOCAL) : contended;
    if (wait === 0) {
      await this.#replan();
      return;
    }
    this.#replanAt(now() + wait);
    // Nobody is to take a table for installed that is missing until then.
    if (parts.has('tables')) await kernel.lookAtTables();
  }

  /** Then, or earlier if that was arranged. */
  #replanAt(time: number): void {
    if (this.#restoring !== undefined && this.#restoreAt <= time) return;
    clearTimeout(this.#restoring);
    this.#restoreAt = time;
    const { now, onRetried } = this.#options;
    const wait = time - now();
    this.#restoring = setTimeout(() => void this.#replan().then(onRetried), wait).unref();
  }

  async #replan(): Promise<void> {
    clearTimeout(this.#restoring);
    this.#restoring = undefined;
    this.#backoff.reset();
    if (this.fault === undefined) this.#step = () => this.#restore();
    await this.#attempt();
  }

  async #restore(): Promise<void> {
    const { kernel, log, now } = this.#options;
    const lost = await kernel.replan();
    if (lost.length === 0) return;
    log.warn({ lost }, 'another program took this away: it is put back');
    this.#contention.note(lost, now());
  }

  /** Nothing is tried from now on, and what fails meanwhile is no fault. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#restoring);
  }

  async #attempt(): Promise<void> {
    if (this.#closed) return;
    clearTimeout(this.#timer);
    const step = this.#step;
    try {
      await step();
      if (step === this.#step) this.fault = undefined;
    } catch (error) {
      if (this.#closed || step !== this.#step) return;
      this.fault = (error as Error).message;
      const { log, onRetried } = this.#options;
      log.error({ err: error }, 'the netmap could not be installed as a whole');
      const again = (): void => void this.#attempt().then(onRetried);
      this.#timer = setTimeout(again, this.#backoff.next()).unref();
    }
  }
}
