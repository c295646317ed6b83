/**
 * A netlink socket for connection tracking on the event loop. It reads a bounded number of messages in
 * one visit and lets the loop go on, however fast they come; what the kernel could not keep for us is
 * said as lost.
 *
 * The kernel marks a socket that it dropped messages for with ENOBUFS. The event loop takes the mark
 * for the end of the descriptor and stops watching it, so it is watched anew each time.
 */
import { constants } from 'node:os';
import { type Addon, type PollHandle, READABLE } from '../native/addon.ts';
import {
  ConntrackDecoder,
  type ConntrackReader,
  encodeConntrackDump,
  NETLINK_NETFILTER,
} from './conntrack-messages.ts';

const { EINTR, ENOBUFS } = constants.errno;

/** Messages of a dump come in one buffer of up to 32 KiB, events one by one. */
const BUFFER_SIZE = 64 << 10;
/** Bytes decoded in one visit: below a millisecond. */
const VISIT_BYTES = 64 << 10;
/** Calls in one visit. */
const VISIT_CALLS = 128;
/** Visits that empty a socket at its end: more than the largest buffer has, so that they do end. */
const LAST_VISITS = 4_096;

export interface ConntrackListener extends ConntrackReader {
  /** Messages were lost, nobody knows how many. */
  onLost(): void;
}

export class ConntrackSocket {
  readonly #addon: Addon;
  readonly #fd: number;
  readonly #poll: PollHandle;
  readonly #listener: ConntrackListener;
  readonly #decoder = new ConntrackDecoder();
  readonly #buffer = new Uint8Array(BUFFER_SIZE);
  #sequence = 0;
  #closed = false;

  private constructor(addon: Addon, fd: number, listener: ConntrackListener) {
    this.#addon = addon;
    this.#fd = fd;
    this.#listener = listener;
    this.#poll = addon.createPoll(fd, (events) => {
      this.#visit();
      if (events < 0 && !this.#closed) addon.setPoll(this.#poll, READABLE);
    });
    addon.setPoll(this.#poll, READABLE);
  }

  /**
   * @param groups of CONNTRACK_GROUPS; 0 = only what is asked for
   * @param kernelBuffer bytes that the kernel keeps until they are read
   * @returns the socket, or a negative errno
   */
  static open(
    addon: Addon,
    groups: number,
    kernelBuffer: number,
    listener: ConntrackListener,
  ): ConntrackSocket | number {
    const fd = addon.openNetlink(groups, -1, NETLINK_NETFILTER, kernelBuffer);
    return fd < 0 ? fd : new ConntrackSocket(addon, fd, listener);
  }

  /** Asks for all connections; `onDone` or `onError` ends the answer. 0 or a negative errno. */
  dump(): number {
    this.#sequence = (this.#sequence + 1) >>> 0;
    return Math.min(0, this.#addon.send(this.#fd, encodeConntrackDump(this.#sequence)));
  }

  /** Hands over all that the kernel has for us by now. */
  drain(): void {
    for (let visits = 0; visits < LAST_VISITS && this.#visit(); visits++);
  }

  close(): void {
    this.#closed = true;
    this.#addon.closePoll(this.#poll);
    this.#addon.close(this.#fd);
  }

  /** Whether there may be more. */
  #visit(): boolean {
    let bytes = 0;
    for (let calls = 0; calls < VISIT_CALLS && bytes < VISIT_BYTES && !this.#closed; calls++) {
      const size = this.#addon.receive(this.#fd, this.#buffer);
      if (size === -EINTR) continue;
      if (size === -ENOBUFS) {
        this.#listener.onLost();
        continue;
      }
      if (size <= 0) return false;
      bytes += size;
      this.#decoder.decode(this.#buffer, size, this.#listener);
    }
    return !this.#closed;
  }
}
