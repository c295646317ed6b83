/**
 * Tells when the main routing table changes: a subnet was connected, a route came or went. Bursts
 * (an interface with many routes going down) are one call, made when it was quiet for a moment.
 */
import type { Addon } from '../native/addon.ts';
import { NetlinkSocket } from './netlink-socket.ts';
import { type LinkEvent, NETLINK_GROUPS } from './rtnetlink.ts';

/** RT_TABLE_MAIN */
const MAIN_TABLE = 254;
const QUIET_MS = 50;
/** Links as well: the kernel says nothing of IPv4 routes that go with their interface. */
const GROUPS = NETLINK_GROUPS.ipv4Route | NETLINK_GROUPS.ipv6Route | NETLINK_GROUPS.link;

export interface RouteMonitor {
  close(): void;
}

/** Calls `onChange` after changes, until closed. Undefined if the kernel gives no netlink socket. */
export function watchMainRoutes(addon: Addon, onChange: () => void): RouteMonitor | undefined {
  let timer: NodeJS.Timeout | undefined;
  const socket = NetlinkSocket.open(addon, GROUPS, -1, () => {
    if (typeof socket === 'number') return;
    const { events, lost } = socket.read();
    if (!lost && !events.some(concernsMainRoutes)) return;
    clearTimeout(timer);
    timer = setTimeout(onChange, QUIET_MS);
  });
  if (typeof socket === 'number') return undefined;
  return {
    close: () => {
      clearTimeout(timer);
      socket.close();
    },
  };
}

function concernsMainRoutes(event: LinkEvent): boolean {
  switch (event.kind) {
    case 'route':
    case 'route-removed':
      return event.table === MAIN_TABLE;
    case 'link':
    case 'link-removed':
    case 'overrun':
      return true;
    default:
      return false;
  }
}
