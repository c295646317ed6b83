/**
 * How much of the worker's time handshakes take while packets want it too. Above a quarter, the
 * device asks for cookies: a flood of valid-looking initiations costs two X25519 each, and must not
 * starve the sessions that exist.
 */

const WINDOW = 100; // ms
const HANDSHAKE_SHARE = 0.25;
/** Below this share of packet work the worker counts as free for handshakes. */
const PACKET_SHARE = 0.05;

export class HandshakeShare {
  #since = 0;
  #handshakes = 0;
  #packets = 0;

  addPackets(milliseconds: number): void {
    this.#packets += milliseconds;
  }

  /** Returns whether handshakes have taken too much of the window. */
  addHandshakes(milliseconds: number, now: number): boolean {
    if (now - this.#since > WINDOW) {
      this.#since = now;
      this.#handshakes = 0;
      this.#packets = 0;
    }
    this.#handshakes += milliseconds;
    return this.#handshakes > HANDSHAKE_SHARE * WINDOW && this.#packets > PACKET_SHARE * WINDOW;
  }
}
