/**
 * Tells which parts of the kernel's network set-up changed by somebody else's doing: routes of the main
 * table or of ours, rules, links, addresses, settings, nftables. Bursts (an interface with many routes
 * going down) are one call, some time after the first of them. What our own route socket changes is
 * known by its port and passed over.
 */
import type { Addon } from '../native/addon.ts';
import { MAIN_TABLE } from '../routing/routing-rules.ts';
import { NETLINK_NETFILTER, NETLINK_ROUTE, NetlinkSocket } from './netlink-socket.ts';
import { forEachMessage, readRouteMessages } from './route-reader.ts';
import { decodeNetlink, NETLINK_GROUPS } from './rtnetlink.ts';

/** `link`: our interface and its addresses. `local`: the main table. `network`: the underlay. */
export const KERNEL_PARTS = ['link', 'local', 'routes', 'rules', 'tables', 'settings'] as const;
export type KernelPart = (typeof KERNEL_PARTS)[number];

/** Long enough for what belongs together, short enough that nobody notices. */
const GATHER_MS = 50;
const { link, ipv4Address, ipv4Route, ipv4Rule, ipv6Address, ipv6Route, ipv6Rule } = NETLINK_GROUPS;
const { ipv4Settings, ipv6Settings } = NETLINK_GROUPS;
const ROUTE_GROUPS = link | ipv4Address | ipv4Route | ipv4Rule | ipv6Address | ipv6Route | ipv6Rule;
/** NFNLGRP_NFTABLES, as a bit. */
const NFTABLES_GROUP = 1 << 6;

const RTM_NEWADDR = 20;
const RTM_DELADDR = 21;
const RTM_NEWROUTE = 24;
const RTM_DELROUTE = 25;
const RTM_NEWRULE = 32;
const RTM_DELRULE = 33;
const RTM_NEWNETCONF = 80;
const RTM_DELNETCONF = 81;
/** Of nlmsg_pid in a message. */
const PORT_OFFSET = 12;
/** Of ifa_index in a message of an address. */
const ADDRESS_INDEX_OFFSET = 16 + 4;

export interface KernelMonitorOptions {
  readonly addon: Addon;
  readonly interfaceName: string;
  /** Its addresses are nothing of the underlay; undefined = not known. */
  readonly interfaceIndex: number | undefined;
  /** Number of our routing table, as it is now. */
  readonly table: () => number;
  /** Of the socket whose changes are ours. */
  readonly ownPort: number;
  /** Without it only `local` is told of. */
  readonly all: boolean;
  readonly onChange: (parts: ReadonlySet<KernelPart>) => void;
}

export class KernelMonitor {
  readonly #options: KernelMonitorOptions;
  readonly #sockets: NetlinkSocket[] = [];
  #parts = new Set<KernelPart>();
  #timer: NodeJS.Timeout | undefined;

  /** Watches as much as the kernel lets it: a kernel without nftables has none to watch. */
  constructor(options: KernelMonitorOptions) {
    const { addon, all } = options;
    this.#options = options;
    const groups = all ? ROUTE_GROUPS | ipv4Settings | ipv6Settings : ROUTE_GROUPS;
    const routes = NetlinkSocket.open(addon, groups, -1, () => this.#readRoutes(), NETLINK_ROUTE);
    if (typeof routes !== 'number') {
      routes.ignore(options.ownPort, 0);
      this.#sockets.push(routes);
    }
    if (!all) return;
    const tables = NetlinkSocket.open(
      addon,
      NFTABLES_GROUP,
      -1,
      () => this.#readTables(),
      NETLINK_NETFILTER,
    );
    if (typeof tables !== 'number') this.#sockets.push(tables);
  }

  close(): void {
    clearTimeout(this.#timer);
    for (const socket of this.#sockets) socket.close();
  }

  #readRoutes(): void {
    const lost = this.#sockets[0]?.drain((bytes, length) => this.#scan(bytes, length));
    if (lost) for (const part of KERNEL_PARTS) if (part !== 'tables') this.#mark(part);
  }

  #readTables(): void {
    // Which table it was is not asked: whether one of ours differs is seen when they are read.
    this.#sockets[1]?.drain(() => {});
    this.#mark('tables');
  }

  /** Every message by its header; what is ours is not read further. */
  #scan(bytes: Uint8Array, length: number): void {
    forEachMessage(bytes, length, (view, at, end) => {
      if (view.getUint32(at + PORT_OFFSET, true) === this.#options.ownPort) return;
      this.#take(view.getUint16(at + 4, true), bytes.subarray(at, end));
    });
  }

  #take(type: number, message: Uint8Array): void {
    switch (type) {
      case RTM_NEWROUTE:
      case RTM_DELROUTE:
        readRouteMessages(message, message.length, (found) => {
          if (found.kind !== 'route') return;
          if (found.route.table === MAIN_TABLE) this.#mark('local');
          else if (found.route.table === this.#options.table()) this.#mark('routes');
        });
        return;
      case RTM_NEWRULE:
      case RTM_DELRULE:
        this.#mark('rules');
        return;
      case RTM_DELADDR:
      case RTM_NEWADDR:
        this.#markAddress(message, type === RTM_DELADDR);
        return;
      case RTM_NEWNETCONF:
      case RTM_DELNETCONF:
        this.#mark('settings');
        return;
    }
    for (const event of decodeNetlink(message)) {
      if (event.kind !== 'link' && event.kind !== 'link-removed') continue;
      // The kernel says nothing of IPv4 routes that go with their interface.
      if (event.name === this.#options.interfaceName) {
        this.#mark('link');
        this.#mark('routes');
      } else {
        this.#mark('local');
      }
    }
  }

  /** Where many containers come and go, ours are not read each time. */
  #markAddress(message: Uint8Array, removed: boolean): void {
    const view = new DataView(message.buffer, message.byteOffset, message.length);
    const isWhole = message.length >= ADDRESS_INDEX_OFFSET + 4;
    const index = isWhole ? view.getUint32(ADDRESS_INDEX_OFFSET, true) : undefined;
    const own = this.#options.interfaceIndex;
    if (index !== own) this.#mark('local');
    if (own !== undefined && index !== own) return;
    this.#mark('link');
    // With the last one of an interface its IPv4 routes go, and the kernel says nothing of that.
    if (removed) this.#mark('routes');
  }

  #mark(part: KernelPart): void {
    if (!this.#options.all && part !== 'local') return;
    this.#parts.add(part);
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      const parts = this.#parts;
      this.#parts = new Set();
      this.#options.onChange(parts);
    }, GATHER_MS);
  }
}
