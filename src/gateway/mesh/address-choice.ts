/**
 * Which of an edge's addresses is used: the one that answers handshakes. One that does not is left for
 * the next, around and around, in the end slowly; the one that answers stays, whatever the order in
 * which the edge names them. Pure: addresses are texts, time and what was seen come in.
 *
 * Between two handshakes, minutes apart, an address can die unnoticed. So it is asked with a handshake
 * of its own: soon when what peers behind it are sent finds no echo, and now and then as long as they
 * are sent anything, since an address that is dead one way only still brings us what others send.
 */

/** ms without an answer to a handshake until the next address is tried, for the first time around. */
export const TRIAL = 2_500;
/** It doubles with each time around, up to this. */
export const MOST_TRIAL = 40_000;
/** ms of sending to peers without hearing from any, after which the address is asked. */
export const ONE_WAY = 5_000;
/** ms between two such questions. */
export const ASK_INTERVAL = 15_000;
/** ms between two questions while peers are sent anything. */
export const USED_INTERVAL = 15_000;
/** The initiator's next handshake is due after 120 s and a keepalive interval of 20 s. */
export const HANDSHAKE_DUE = 180_000;

/** What the data plane shows at one moment. */
export interface Sight {
  /** ms since the Unix epoch, as the handshake's. */
  readonly now: number;
  /** Last handshake with the edge; 0 = never. */
  readonly lastHandshake: number;
  /** Where the edge was heard last, or is configured to be. */
  readonly address: string | undefined;
  /** Bytes from and to peers behind an edge, all together. */
  readonly peerRxBytes: number;
  readonly peerTxBytes: number;
}

/** `ask`: shake hands at the address in use. `moved`: another one is in use, shake hands there. */
export type Advice = 'stay' | 'ask' | 'moved';

export class AddressChoice {
  #addresses: readonly string[] = [];
  #current: string | undefined;
  /** A handshake is waited for: since when, and which one was the last then. */
  #waiting: { since: number; lastHandshake: number } | undefined;
  /** Addresses that did not answer, one after the other. */
  #failures = 0;
  #asked = Number.NEGATIVE_INFINITY;
  #rx = 0;
  #tx = 0;
  /** Peers were sent something since it was last asked. */
  #used = false;
  /** Since when peers were sent to without a byte from any. */
  #oneWaySince: number | undefined;

  /** The address in use; undefined = none is known. */
  get current(): string | undefined {
    return this.#current;
  }

  /** Whether there is anything to choose. */
  get isOpen(): boolean {
    return this.#addresses.length > 1;
  }

  /**
   * These are the edge's addresses now. The one in use stays if it is among them and nothing speaks
   * against it.
   *
   * @param reachable those that this host has a route to
   */
  setAddresses(addresses: readonly string[], reachable: readonly string[]): void {
    this.#addresses = addresses;
    const current = this.#current;
    if (current !== undefined && reachable.includes(current)) return;
    const keep = current !== undefined && reachable.length === 0 && addresses.includes(current);
    if (!keep) this.#use(reachable[0] ?? addresses[0]);
  }

  /** A handshake with the edge was begun for another reason: an answer is due. */
  expect(now: number, lastHandshake: number): void {
    this.#waiting ??= { since: now, lastHandshake };
  }

  /** What was advised is done only now: the answer's time counts from here. */
  done(now: number): void {
    if (this.#waiting !== undefined) this.#waiting.since = now;
  }

  look(sight: Sight): Advice {
    const { now, lastHandshake, address } = sight;
    this.#watchTraffic(sight);
    if (this.#waiting === undefined) {
      if (!this.#isDoubtful(now, lastHandshake)) return 'stay';
      this.#asked = now;
      this.#used = false;
      this.#waiting = { since: now, lastHandshake };
      return 'ask';
    }
    if (lastHandshake > this.#waiting.lastHandshake) {
      this.#waiting = undefined;
      this.#failures = 0;
      this.#oneWaySince = undefined;
      // The answer may have come from an address that was given up too early.
      if (address === undefined || address === this.#current) return 'stay';
      if (!this.#addresses.includes(address)) return 'stay';
      this.#current = address;
      return 'moved';
    }
    const around = Math.floor(this.#failures / Math.max(1, this.#addresses.length));
    if (now - this.#waiting.since < Math.min(MOST_TRIAL, TRIAL * 2 ** Math.min(around, 8))) {
      return 'stay';
    }
    this.#failures++;
    this.#waiting = { since: now, lastHandshake };
    if (!this.isOpen) return 'stay';
    const at = this.#addresses.indexOf(this.#current ?? '');
    this.#current = this.#addresses[(at + 1) % this.#addresses.length];
    return 'moved';
  }

  #use(address: string | undefined): void {
    this.#current = address;
    this.#waiting = undefined;
    this.#failures = 0;
    this.#asked = Number.NEGATIVE_INFINITY;
  }

  #watchTraffic({ now, peerRxBytes, peerTxBytes }: Sight): void {
    const sent = peerTxBytes > this.#tx;
    this.#used ||= sent;
    if (peerRxBytes !== this.#rx) this.#oneWaySince = undefined;
    else if (sent) this.#oneWaySince ??= now;
    this.#rx = peerRxBytes;
    this.#tx = peerTxBytes;
  }

  #isDoubtful(now: number, lastHandshake: number): boolean {
    if (now - this.#asked < ASK_INTERVAL) return false;
    if (now - lastHandshake > HANDSHAKE_DUE) return true;
    if (this.#used && now - Math.max(this.#asked, lastHandshake) >= USED_INTERVAL) return true;
    return this.#oneWaySince !== undefined && now - this.#oneWaySince >= ONE_WAY;
  }
}
