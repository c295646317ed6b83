/**
 * Notices that the machine was asleep (suspend, hibernation, a paused virtual machine): the clock that
 * counts time asleep (CLOCK_BOOTTIME, as /proc/uptime shows it) has gone ahead of the one that does not
 * (CLOCK_MONOTONIC, as Node.js has it). What the other sides knew of us may be forgotten by then.
 */
import { readFileSync } from 'node:fs';

/** ms. NATs forget a flow of UDP after 30 s at the earliest, peers a silent session after 15. */
const LEAST_SLEEP = 10_000;
const LOOK_INTERVAL = 1_000;

export interface Clocks {
  /** ms since the start of the machine, time asleep included. */
  readonly boot: () => number;
  /** ms since some moment, without it. */
  readonly monotonic: () => number;
}

const SYSTEM: Clocks = {
  boot: () => Number(readFileSync('/proc/uptime', 'latin1').split(' ')[0]) * 1_000,
  monotonic: () => performance.now(),
};

export class SleepWatch {
  readonly #onWake: (asleep: number) => void;
  readonly #clocks: Clocks;
  readonly #timer: NodeJS.Timeout;
  #difference: number;

  /** @param onWake called with the ms that it slept, within a second of its waking up */
  constructor(onWake: (asleep: number) => void, clocks = SYSTEM) {
    this.#onWake = onWake;
    this.#clocks = clocks;
    this.#difference = this.#look();
    this.#timer = setInterval(() => this.#compare(), LOOK_INTERVAL).unref();
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #look(): number {
    return this.#clocks.boot() - this.#clocks.monotonic();
  }

  #compare(): void {
    const before = this.#difference;
    this.#difference = this.#look();
    const asleep = this.#difference - before;
    if (asleep >= LEAST_SLEEP) this.#onWake(asleep);
  }
}
