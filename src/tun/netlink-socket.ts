/**
 * A netlink socket on the event loop (netlink(7)): drains what waits, and survives an overrun.
 *
 * When messages come faster than they are read, the kernel drops some and marks the socket with
 * ENOBUFS. The event loop takes the mark for the end of the descriptor and stops watching it, so it is
 * watched anew each time.
 */
import { constants } from 'node:os';
import { type Addon, type PollHandle, READABLE } from '../native/addon.ts';
import { decodeNetlink, type LinkEvent } from './rtnetlink.ts';

const { EAGAIN, EINTR, ENOBUFS } = constants.errno;

/** Protocols of netlink. */
export const NETLINK_ROUTE = 0;
export const NETLINK_NETFILTER = 12;
const BUFFER_SIZE = 64 << 10;
/** A routing daemon changes thousands of routes at once. */
const KERNEL_BUFFER = 1 << 20;

export class NetlinkSocket {
  readonly #addon: Addon;
  readonly #fd: number;
  readonly #poll: PollHandle;
  readonly #buffer = new Uint8Array(BUFFER_SIZE);

  private constructor(addon: Addon, fd: number, onMessages: () => void) {
    this.#addon = addon;
    this.#fd = fd;
    this.#poll = addon.createPoll(fd, (events) => {
      onMessages();
      if (events < 0) addon.setPoll(this.#poll, READABLE);
    });
    addon.setPoll(this.#poll, READABLE);
  }

  /**
   * Subscribes to groups (`NETLINK_GROUPS`).
   *
   * @param tun the namespace to listen in is this device's; -1 = our own
   * @param onMessages something waits: `read` it
   * @returns the socket, or a negative errno
   */
  static open(
    addon: Addon,
    groups: number,
    tun: number,
    onMessages: () => void,
    protocol = NETLINK_ROUTE,
  ): NetlinkSocket | number {
    const fd = addon.openNetlink(groups, tun, protocol, KERNEL_BUFFER);
    return fd < 0 ? fd : new NetlinkSocket(addon, fd, onMessages);
  }

  /**
   * Has the kernel keep from us what the socket with this port causes, or what is about routes of this
   * RTPROT_*; 0 = none. Where it cannot, they are read with the rest.
   */
  ignore(port: number, protocol: number): void {
    this.#addon.filterNetlink(this.#fd, port, protocol);
  }

  request(message: Uint8Array): void {
    this.#addon.send(this.#fd, message);
  }

  /** Everything that waits, and whether messages were lost. */
  read(): { readonly events: readonly LinkEvent[]; readonly lost: boolean } {
    const events: LinkEvent[] = [];
    const lost = this.drain((bytes, length) => events.push(...decodeNetlink(bytes, length)));
    return { events, lost };
  }

  /** The same, not decoded: the first `length` bytes, borrowed. Answers whether messages were lost. */
  drain(visit: (bytes: Uint8Array, length: number) => void): boolean {
    let lost = false;
    for (;;) {
      const size = this.#addon.receive(this.#fd, this.#buffer);
      if (size === -EINTR) continue;
      if (size === -ENOBUFS) {
        lost = true;
        continue;
      }
      if (size <= 0) return lost || (size < 0 && size !== -EAGAIN);
      visit(this.#buffer, size);
    }
  }

  close(): void {
    this.#addon.closePoll(this.#poll);
    this.#addon.close(this.#fd);
  }
}
