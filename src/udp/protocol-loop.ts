/**
 * What an event loop does for the protocol behind its sockets, whatever it does with the packets: after
 * each visit handshakes get their turn, what the protocol itself wants sent is sent, and the timer is
 * set for the next deadline. Nothing here is per packet.
 */
import type { Clock } from '../clock.ts';
import type { Instant } from '../time.ts';
import type { OutboundVector, VectorAead } from '../vector.ts';

/** Handshake messages handled in one visit, so that packets get their turn between them. */
const HANDSHAKES_PER_VISIT = 2;

/** The part of a WireGuard device that is needed here. */
export interface Protocol {
  readonly handshakesWaiting: number;
  handleHandshakes(now: Instant, budget: number): number;
  enterUnderLoad(now: Instant): void;
  pollTransmit(vector: OutboundVector, now: Instant): boolean;
  pollTimeout(): number;
  handleTimeout(now: Instant): void;
}

export interface ProtocolLoopParts {
  readonly protocol: Protocol;
  readonly aead: VectorAead;
  readonly clock: Clock;
  /** Milliseconds spent on handshakes until a monotonic time; true if that was too much. */
  readonly share: { addHandshakes(milliseconds: number, now: number): boolean };
  /** What is polled from the protocol goes out in it; free whenever `canSend`. */
  readonly outbound: OutboundVector;
  /** There are sockets, and none is waited for. */
  readonly canSend: () => boolean;
  /** Sends the sealed vector. */
  readonly send: () => void;
  /** The protocol may have events to tell. */
  readonly onEvents: () => void;
}

export class ProtocolLoop {
  readonly #parts: ProtocolLoopParts;
  #timer: NodeJS.Timeout | undefined;
  #timerAt = Number.POSITIVE_INFINITY;
  #handshakesScheduled = false;
  #closed = false;

  constructor(parts: ProtocolLoopParts) {
    this.#parts = parts;
  }

  /** Ends; nothing happens any more. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  /** To be called after each visit, and after anything was done to the protocol from outside one. */
  finishVisit(): void {
    if (this.#closed) return;
    this.#handleHandshakes();
    this.#transmit();
    this.#parts.onEvents();
    this.#armTimer();
  }

  #handleHandshakes(): void {
    const { protocol, clock, share } = this.#parts;
    if (protocol.handshakesWaiting === 0) return;
    const now = clock.read();
    const started = now.monotonic;
    const waiting = protocol.handleHandshakes(now, HANDSHAKES_PER_VISIT);
    const ended = performance.now();
    if (share.addHandshakes(ended - started, ended)) protocol.enterUnderLoad(now);
    if (waiting === 0 || this.#handshakesScheduled) return;
    this.#handshakesScheduled = true;
    setImmediate(() => {
      this.#handshakesScheduled = false;
      this.finishVisit();
    });
  }

  #transmit(): void {
    const { protocol, outbound, aead, clock, canSend, send } = this.#parts;
    let more = true;
    while (more && canSend()) {
      outbound.clear();
      more = protocol.pollTransmit(outbound, clock);
      if (outbound.length === 0) return;
      aead.sealVector(outbound);
      send();
    }
  }

  #armTimer(): void {
    const next = this.#parts.protocol.pollTimeout();
    if (next >= this.#timerAt) return; // the timer that runs fires first and looks again
    clearTimeout(this.#timer);
    this.#timerAt = next;
    const wait = Math.max(0, Math.ceil(next - performance.now()));
    this.#timer = setTimeout(() => {
      this.#timerAt = Number.POSITIVE_INFINITY;
      if (this.#closed) return;
      const { protocol, clock } = this.#parts;
      protocol.handleTimeout(clock.read());
      this.finishVisit();
    }, wait);
  }
}
