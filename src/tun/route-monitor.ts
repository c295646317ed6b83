/**
 * Tells when the main routing table changes: a subnet was connected, a route came or went. Bursts
 * (an interface with many routes going down) are one call, made when it was quiet for a moment.
 */
import { constants } from 'node:os';
import { type Addon, READABLE } from '../native/addon.ts';
import { decodeNetlink, NETLINK_GROUPS } from './rtnetlink.ts';

const { EAGAIN } = constants.errno;
/** RT_TABLE_MAIN */
const MAIN_TABLE = 254;
const QUIET_MS = 50;
/** Links as well: the kernel says nothing of IPv4 routes that go with their interface. */
const GROUPS = NETLINK_GROUPS.ipv4Route | NETLINK_GROUPS.ipv6Route | NETLINK_GROUPS.link;
const BUFFER_SIZE = 64 << 10;

export interface RouteMonitor {
  close(): void;
}

/** Calls `onChange` after changes, until closed. Undefined if the kernel gives no netlink socket. */
export function watchMainRoutes(addon: Addon, onChange: () => void): RouteMonitor | undefined {
  const fd = addon.openNetlink(GROUPS, -1);
  if (fd < 0) return undefined;
  const buffer = new Uint8Array(BUFFER_SIZE);
  let timer: NodeJS.Timeout | undefined;
  const poll = addon.createPoll(fd, () => {
    if (readChange(addon, fd, buffer)) {
      clearTimeout(timer);
      timer = setTimeout(onChange, QUIET_MS);
    }
  });
  addon.setPoll(poll, READABLE);
  return {
    close: () => {
      clearTimeout(timer);
      addon.closePoll(poll);
      addon.close(fd);
    },
  };
}

/** Drains the socket; whether the main table changed, or messages were lost and it may have. */
function readChange(addon: Addon, fd: number, buffer: Uint8Array): boolean {
  let changed = false;
  for (;;) {
    const size = addon.receive(fd, buffer);
    if (size === -EAGAIN || size === 0) return changed;
    if (size < 0) {
      // ENOBUFS is reported once; any other error will not go away by reading on.
      return true;
    }
    for (const event of decodeNetlink(buffer, size)) {
      const route = event.kind === 'route' || event.kind === 'route-removed';
      const link = event.kind === 'link' || event.kind === 'link-removed';
      if (event.kind === 'overrun' || link || (route && event.table === MAIN_TABLE)) changed = true;
    }
  }
}
