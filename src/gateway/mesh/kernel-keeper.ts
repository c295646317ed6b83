/**
 * Has the kernel as the netmap wants it: what was refused is tried again, with growing waits, until it
 * is in place or something else is wanted. A netmap is in force whether or not all of it fits.
 */
import type { Log } from '../log.ts';
import { Backoff } from './backoff.ts';
import type { MeshKernel } from './mesh-kernel.ts';
import type { WantedKernel } from './wanted-kernel.ts';

export interface KernelKeeperOptions {
  readonly kernel: Pick<MeshKernel, 'apply' | 'replan'>;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly log: Log;
}

export class KernelKeeper {
  /** What the kernel, or its tools, refused last; undefined = all is in place. */
  fault: string | undefined;
  readonly #options: KernelKeeperOptions;
  readonly #backoff: Backoff;
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

  /** The main table may have changed. While something is refused, all of it is tried again. */
  async replan(): Promise<void> {
    this.#backoff.reset();
    if (this.fault === undefined) this.#step = () => this.#options.kernel.replan();
    await this.#attempt();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  async #attempt(): Promise<void> {
    clearTimeout(this.#timer);
    const step = this.#step;
    try {
      await step();
      if (step === this.#step) this.fault = undefined;
    } catch (error) {
      if (this.#closed || step !== this.#step) return;
      this.fault = (error as Error).message;
      this.#options.log.error({ err: error }, 'the netmap could not be installed as a whole');
      this.#timer = setTimeout(() => void this.#attempt(), this.#backoff.next()).unref();
    }
  }
}
