/** Time as the pure core sees it: passed in, never read. All values are milliseconds. */
export interface Instant {
  /** Monotonic; only differences mean anything. */
  readonly monotonic: number;
  /** Since the Unix epoch, for TAI64N timestamps and for people. */
  readonly unix: number;
}

export const SECOND = 1_000;
