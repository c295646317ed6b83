/**
 * Watches the link of a TUN device by route netlink: up or down, its MTU, its end. It follows the
 * device into another network namespace. A second socket, in our own namespace, tells when routes
 * or addresses of the underlay change.
 */
import { constants } from 'node:os';
import { type Addon, type PollHandle, READABLE } from '../native/addon.ts';
import { decodeNetlink, encodeLinkRequest, NETLINK_GROUPS } from './rtnetlink.ts';

const { EAGAIN, EINTR } = constants.errno;

export interface LinkListener {
  onLink(up: boolean, mtu: number): void;
  /** Routes or addresses of the underlay have changed. */
  onRoutes(): void;
  /** The device does not exist any more. */
  onGone(): void;
}

const BUFFER_SIZE = 64 << 10;

class NetlinkSocket {
  readonly #addon: Addon;
  readonly #fd: number;
  readonly #poll: PollHandle;
  readonly #buffer = new Uint8Array(BUFFER_SIZE);

  /** @param tun -1: in our own namespace */
  constructor(addon: Addon, groups: number, tun: number, onMessages: (lost: boolean) => void) {
    this.#addon = addon;
    this.#fd = addon.openNetlink(groups, tun);
    if (this.#fd < 0) throw new Error(`netlink socket: errno ${-this.#fd}`);
    this.#poll = addon.createPoll(this.#fd, () => onMessages(false));
    addon.setPoll(this.#poll, READABLE);
  }

  request(message: Uint8Array): void {
    this.#addon.send(this.#fd, message);
  }

  /** Everything that waits, and whether messages were lost before (ENOBUFS). */
  *read(): Generator<ReturnType<typeof decodeNetlink>[number] | 'lost'> {
    for (;;) {
      const size = this.#addon.receive(this.#fd, this.#buffer);
      if (size === -EAGAIN || size === 0) return;
      if (size === -EINTR) continue;
      if (size < 0) yield 'lost';
      else yield* decodeNetlink(this.#buffer, size);
    }
  }

  close(): void {
    this.#addon.closePoll(this.#poll);
    this.#addon.close(this.#fd);
  }
}

export class LinkMonitor {
  readonly #addon: Addon;
  readonly #tun: number;
  readonly #listener: LinkListener;
  readonly #underlay: NetlinkSocket;
  #device: NetlinkSocket | undefined;
  #index = 0;
  #closed = false;

  /** @param tun descriptor of the device; stays the caller's */
  constructor(addon: Addon, tun: number, listener: LinkListener) {
    this.#addon = addon;
    this.#tun = tun;
    this.#listener = listener;
    const { ipv4Address, ipv4Route, ipv6Address, ipv6Route } = NETLINK_GROUPS;
    const groups = ipv4Address | ipv4Route | ipv6Address | ipv6Route;
    this.#underlay = new NetlinkSocket(addon, groups, -1, () => this.#readUnderlay());
    this.#follow();
  }

  close(): void {
    this.#closed = true;
    this.#device?.close();
    this.#underlay.close();
  }

  /** Listens where the device lives now, and asks for its state. */
  #follow(): void {
    this.#device?.close();
    this.#device = undefined;
    const name = this.#addon.tunName(this.#tun);
    if (name === '') {
      this.#gone();
      return;
    }
    this.#index = 0;
    this.#device = new NetlinkSocket(this.#addon, NETLINK_GROUPS.link, this.#tun, () =>
      this.#readDevice(),
    );
    this.#device.request(encodeLinkRequest(name, 1));
  }

  #readDevice(): void {
    if (this.#device === undefined) return;
    for (const event of this.#device.read()) {
      if (event === 'lost') {
        this.#follow();
        return;
      }
      // It was renamed or moved between asking for its name and asking for its state.
      if (event.kind === 'error' && event.errno !== 0) {
        this.#follow();
        return;
      }
      if (event.kind === 'link') {
        if (this.#index === 0 && event.name === this.#addon.tunName(this.#tun)) {
          this.#index = event.index;
        }
        if (event.index === this.#index) this.#listener.onLink(event.up, event.mtu);
      } else if (event.kind === 'link-removed' && event.index === this.#index) {
        this.#listener.onLink(false, 0);
        this.#follow();
        return;
      }
      if (this.#closed) return;
    }
  }

  #readUnderlay(): void {
    let changed = false;
    for (const event of this.#underlay.read()) if (event) changed = true;
    if (changed) this.#listener.onRoutes();
  }

  #gone(): void {
    if (!this.#closed) this.#listener.onGone();
  }
}
