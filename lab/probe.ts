/** Ping all the time from a namespace, to see for how long nothing came through. */
import type { Namespace } from './namespace.ts';
import type { Process } from './process.ts';

/** Seconds between two probes. */
const INTERVAL = 0.05;

export class Probe {
  readonly #process: Process;

  private constructor(process: Process) {
    this.#process = process;
  }

  /** Returns when the first answer came. */
  static async start(from: Namespace, address: string): Promise<Probe> {
    const process = from.start(['ping', '-n', '-D', '-i', String(INTERVAL), address]);
    await process.line(/ time=/, 20);
    return new Probe(process);
  }

  /** The next answer to come. */
  async answered(seconds = 20): Promise<void> {
    await this.#process.nextLine(/ time=/, seconds);
  }

  /** Waits for some answers in a row, then ends; the longest time in ms without one. */
  async longestGap(): Promise<number> {
    for (let i = 0; i < 20; i++) await this.answered();
    return this.stop();
  }

  /** Ends; the longest time in ms between two answers. */
  async stop(): Promise<number> {
    await this.#process.stop('SIGINT');
    const times = this.#process.lines.flatMap((line) => {
      const time = /^\[(\d+\.\d+)\] .* time=/.exec(line)?.[1];
      return time === undefined ? [] : [Number(time) * 1_000];
    });
    return Math.max(0, ...times.map((time, i) => (i === 0 ? 0 : time - times[i - 1]!)));
  }
}
