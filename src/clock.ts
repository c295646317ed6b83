/** A data plane's clock: read once per visit of the event loop, handed to the pure core. */
import type { Instant } from './time.ts';

export class Clock implements Instant {
  monotonic = 0;
  unix = 0;

  constructor() {
    this.read();
  }

  read(): this {
    this.monotonic = performance.now();
    this.unix = Date.now();
    return this;
  }
}
