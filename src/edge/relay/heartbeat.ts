/**
 * The sign of life of the relay's worker, in shared memory: it sets the time down about once a second
 * while it has its sockets open, and the main thread reads it at any time.
 */
export class Heartbeat {
  static readonly BYTES = 8;
  /** Nanoseconds of the monotonic clock that all threads of a process share; 0 = never. */
  readonly #last: BigInt64Array;

  constructor(buffer: SharedArrayBuffer) {
    this.#last = new BigInt64Array(buffer);
  }

  beat(): void {
    Atomics.store(this.#last, 0, process.hrtime.bigint());
  }

  /** Milliseconds since the last beat. */
  get silence(): number {
    return Number(process.hrtime.bigint() - Atomics.load(this.#last, 0)) / 1e6;
  }
}
