/** What a device tells the log, bounded: the oldest event is forgotten first, and counted. */
import type { PublicKey } from '../keys.ts';

export type DeviceEventType =
  /** An initiation is on its way; `detail` counts the retries. */
  | 'handshake-started'
  /** A session is confirmed in both directions; `detail` is 1 if we initiated it, else 0. */
  | 'session-established'
  /** REKEY_ATTEMPT_TIME passed without an answer; staged packets were dropped. */
  | 'handshake-gave-up'
  /** An authentic message came from a new address. */
  | 'endpoint-roamed'
  /** Another path MTU is in force: `detail` bytes, 0 = none is looked for any more. */
  | 'path-mtu'
  /** No session for REJECT_AFTER_TIME * 3: all keys are wiped. */
  | 'keys-wiped'
  /** Handshake messages are answered with cookies for the next second; of no peer. */
  | 'under-load';

export interface DeviceEvent {
  readonly type: DeviceEventType;
  /** -1 = of no peer. */
  readonly peer: number;
  readonly publicKey: PublicKey | undefined;
  readonly detail: number;
}

const CAPACITY = 256;

export class EventQueue {
  readonly #events: DeviceEvent[] = [];
  #first = 0;
  /** Events forgotten because nobody polled. */
  lost = 0;

  push(event: DeviceEvent): void {
    if (this.#events.length - this.#first === CAPACITY) {
      this.#first++;
      this.lost++;
    }
    if (this.#first >= CAPACITY) {
      this.#events.splice(0, this.#first);
      this.#first = 0;
    }
    this.#events.push(event);
  }

  shift(): DeviceEvent | undefined {
    if (this.#first === this.#events.length) {
      this.#events.length = 0;
      this.#first = 0;
      return undefined;
    }
    return this.#events[this.#first++];
  }
}
