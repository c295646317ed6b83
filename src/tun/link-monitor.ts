/**
 * Watches the link of a TUN device by route netlink: up or down, its MTU, its end. It follows the
 * device into another network namespace. A second socket, in our own namespace, tells when routes
 * or addresses of the underlay change.
 */
import type { Addon } from '../native/addon.ts';
import { NetlinkSocket } from './netlink-socket.ts';
import { ROUTE_PROTOCOL, RTM_DELROUTE, RTM_NEWROUTE } from './route-numbers.ts';
import { forEachMessage } from './route-reader.ts';
import { encodeLinkRequest, NETLINK_GROUPS } from './rtnetlink.ts';

/** Where struct rtmsg has the protocol, behind the header of the message. */
const PROTOCOL_OFFSET = 16 + 5;

export interface LinkListener {
  onLink(up: boolean, mtu: number): void;
  /** Routes or addresses of the underlay have changed. */
  onRoutes(): void;
  /** The device does not exist any more. */
  onGone(): void;
}

/** A route that a tunnel made leads into it, and is no way of the underlay. */
function isTunnelRoute(view: DataView, at: number, end: number): boolean {
  const type = view.getUint16(at + 4, true);
  if (type !== RTM_NEWROUTE && type !== RTM_DELROUTE) return false;
  return end - at > PROTOCOL_OFFSET && view.getUint8(at + PROTOCOL_OFFSET) === ROUTE_PROTOCOL;
}

function openSocket(
  addon: Addon,
  groups: number,
  tun: number,
  onMessages: () => void,
): NetlinkSocket {
  const socket = NetlinkSocket.open(addon, groups, tun, onMessages);
  if (typeof socket === 'number') throw new Error(`netlink socket: errno ${-socket}`);
  return socket;
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
    this.#underlay = openSocket(addon, groups, -1, () => this.#readUnderlay());
    this.#underlay.ignore(0, ROUTE_PROTOCOL);
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
    this.#device = openSocket(this.#addon, NETLINK_GROUPS.link, this.#tun, () =>
      this.#readDevice(),
    );
    this.#device.request(encodeLinkRequest(name, 1));
  }

  #readDevice(): void {
    if (this.#device === undefined) return;
    const { events, lost } = this.#device.read();
    if (lost) {
      this.#follow();
      return;
    }
    for (const event of events) {
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
    let concerned = false;
    const lost = this.#underlay.drain((bytes, length) => {
      if (concerned) return;
      forEachMessage(bytes, length, (view, at, end) => {
        concerned ||= !isTunnelRoute(view, at, end);
      });
    });
    if (lost || concerned) this.#listener.onRoutes();
  }

  #gone(): void {
    if (!this.#closed) this.#listener.onGone();
  }
}
