/**
 * Looks at all connections of the kernel again and again, one look after the other. A look reads a
 * bounded piece in each turn of the event loop; the longer one takes, the longer it is to the next, so
 * that a full table costs no more than a small share of this thread.
 */
import { constants } from 'node:os';
import { getSystemErrorMessage } from 'node:util';
import type { Addon } from '../../native/addon.ts';
import type { ConntrackRecord } from '../../tun/conntrack-messages.ts';
import { ConntrackSocket } from '../../tun/conntrack-socket.ts';

/** Bytes that the kernel keeps of an answer: it goes on when they are read. */
const KERNEL_BUFFER = 1 << 20;
/** The time between two looks is at least so many times that of the look before. */
const REST = 20;
/** ms after which a look is given up. */
const LOOK_TIMEOUT = 60_000;
const AFTER_FAILURE = 30_000;

export interface LookListener {
  onBegin(now: number): void;
  /** The record is borrowed until return. */
  onConnection(record: ConntrackRecord): void;
  /** False: it broke off, or the table changed so much meanwhile that it is no whole picture. */
  onEnd(whole: boolean, now: number): void;
  /** ms until the next. */
  interval(): number;
}

export class ConnectionLooks {
  readonly #addon: Addon;
  readonly #listener: LookListener;
  #socket: ConntrackSocket | undefined;
  #timer: NodeJS.Timeout | undefined;
  #timeout: NodeJS.Timeout | undefined;
  #began = 0;
  #looking: PromiseWithResolvers<void> | undefined;
  #closed = false;
  /** Why the last look failed; undefined = it did not. */
  fault: string | undefined;

  constructor(addon: Addon, listener: LookListener) {
    this.#addon = addon;
    this.#listener = listener;
    this.#next(0);
  }

  /** A look that begins now, after one that is under way; resolves when it ends, whole or not. */
  async once(): Promise<void> {
    await this.#looking?.promise;
    if (this.#closed) return;
    this.#look();
    await this.#looking?.promise;
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    if (this.#looking !== undefined) this.#end(false);
    this.#socket?.close();
  }

  #next(ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#look(), ms).unref();
  }

  #look(): void {
    clearTimeout(this.#timer);
    this.#looking = Promise.withResolvers();
    this.#began = performance.now();
    this.#listener.onBegin(Date.now());
    const socket = this.#socket ?? this.#open();
    const error = typeof socket === 'number' ? socket : socket.dump();
    if (error < 0) {
      this.#fail(-error);
      return;
    }
    this.#timeout = setTimeout(() => this.#fail(0), LOOK_TIMEOUT).unref();
  }

  #open(): ConntrackSocket | number {
    const socket = ConntrackSocket.open(this.#addon, 0, KERNEL_BUFFER, {
      onConnection: (record) => {
        if (this.#looking !== undefined) this.#listener.onConnection(record);
      },
      onDone: (consistent) => this.#end(consistent),
      onError: (errno) => this.#fail(errno),
      onLost: () => this.#fail(0),
    });
    if (typeof socket !== 'number') this.#socket = socket;
    return socket;
  }

  #fail(errno: number): void {
    // What still comes of this look is not taken for a part of the next.
    this.#socket?.close();
    this.#socket = undefined;
    this.#end(false, errno === 0 ? 'the answer did not end.' : describe(errno));
  }

  #end(whole: boolean, fault?: string): void {
    if (this.#looking === undefined) return;
    clearTimeout(this.#timeout);
    const looked = this.#looking;
    this.#looking = undefined;
    this.fault = fault;
    this.#listener.onEnd(whole, Date.now());
    looked.resolve();
    if (this.#closed) return;
    const took = performance.now() - this.#began;
    const rest = Math.max(this.#listener.interval(), took * REST);
    this.#next(fault === undefined ? rest : AFTER_FAILURE);
  }
}

/** What the kernel says where nobody in it knows the question, or may not ask it. */
function describe(errno: number): string {
  const { EINVAL, EPERM, EPROTONOSUPPORT } = constants.errno;
  switch (errno) {
    case EINVAL:
    case EPROTONOSUPPORT:
      return 'the kernel does not list them: `modprobe nf_conntrack_netlink`.';
    case EPERM:
      return 'the kernel lists them to nobody without CAP_NET_ADMIN.';
    default:
      return `the kernel did not list them: ${getSystemErrorMessage(-errno)} (error ${errno}).`;
  }
}
