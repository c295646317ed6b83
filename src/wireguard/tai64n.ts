/**
 * TAI64N timestamps of handshake initiations (whitepaper § 5.1, 5.4.2; https://cr.yp.to/libtai/tai64.html):
 * 8 bytes of seconds and 4 of nanoseconds, big-endian, so that they compare as byte strings.
 */

export const TIMESTAMP_SIZE = 12;

/** 2^62 + 10: the TAI label of the Unix epoch, leap seconds ignored as everybody does. */
const BASE_HIGH = 0x4000_0000;
const BASE_LOW = 10;

/**
 * The lowest 24 bits of the nanoseconds are cut off, as wireguard-go does it: 16.8 ms are as much as
 * 20 initiations a second need, and a finer clock would be a fingerprint of the machine.
 */
const WHITENER = 0x1_00_0000;

/** One step of the whitened clock, rounded up to whole milliseconds. */
export const TIMESTAMP_STEP = 17;

/** The timestamp of a moment in milliseconds since the Unix epoch. */
export function encodeTimestamp(unix: number): Uint8Array {
  const seconds = Math.floor(unix / 1_000);
  const nanoseconds = Math.floor((unix - seconds * 1_000) * 1e6);
  const label = seconds + BASE_LOW;
  const bytes = new Uint8Array(TIMESTAMP_SIZE);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, BASE_HIGH + Math.floor(label / 0x1_0000_0000));
  view.setUint32(4, label % 0x1_0000_0000);
  view.setUint32(8, nanoseconds - (nanoseconds % WHITENER));
  return bytes;
}

/** Whether `a` is strictly later than `b`; 12 bytes each. */
export function isLater(a: Uint8Array, b: Uint8Array): boolean {
  for (let i = 0; i < TIMESTAMP_SIZE; i++) {
    if (a[i]! !== b[i]!) return a[i]! > b[i]!;
  }
  return false;
}
