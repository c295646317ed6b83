/**
 * Messages of route netlink (rtnetlink(7)), bytes only: what an interface is called, whether it is
 * up, its MTU, and that links and routes change. The descriptor is the addon's.
 *
 * Everything is in the byte order of the host, which is little-endian on both machines that we
 * build for. Malformed input ends the decoding; what was found before it is returned.
 *
 * An interface that is moved to another network namespace is removed in the old one (RTM_DELLINK)
 * and appears in the new one: to see its end, listen in the namespace where it lives.
 */
import type { Family } from '../routing/address.ts';

/** Bits for the groups of a netlink socket (`RTMGRP_*`). */
export const NETLINK_GROUPS = {
  link: 0x1,
  ipv4Address: 0x10,
  ipv4Route: 0x40,
  ipv4Rule: 0x80,
  ipv6Address: 0x100,
  ipv6Route: 0x400,
  ipv6Rule: 0x4_0000,
  /** Forwarding, reverse path filtering and their like (`RTNLGRP_*_NETCONF`). */
  ipv4Settings: 0x80_0000,
  ipv6Settings: 0x100_0000,
} as const;

const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const NLMSG_OVERRUN = 4;
const RTM_NEWLINK = 16;
const RTM_DELLINK = 17;
const RTM_GETLINK = 18;
const RTM_NEWADDR = 20;
const RTM_DELADDR = 21;
const RTM_NEWROUTE = 24;
const RTM_DELROUTE = 25;
const NLM_F_REQUEST = 1;

const IFF_UP = 0x1;
const IFF_RUNNING = 0x40;
const IFLA_IFNAME = 3;
const IFLA_MTU = 4;
const RTA_DST = 1;
const RTA_OIF = 4;
const RTA_TABLE = 15;
const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;

const HEADER_SIZE = 16;
const IFINFO_SIZE = 16;
const IFADDR_SIZE = 8;
const RTMSG_SIZE = 12;
const ATTRIBUTE_HEADER_SIZE = 4;

export type LinkEvent =
  | {
      readonly kind: 'link';
      readonly index: number;
      /** Empty if the message does not say. */
      readonly name: string;
      /** Administratively up (IFF_UP). */
      readonly up: boolean;
      readonly running: boolean;
      /** 0 if the message does not say. */
      readonly mtu: number;
    }
  | { readonly kind: 'link-removed'; readonly index: number; readonly name: string }
  | {
      readonly kind: 'address' | 'address-removed';
      readonly index: number;
      readonly family: Family;
      readonly address: Uint8Array;
      readonly length: number;
    }
  | {
      readonly kind: 'route' | 'route-removed';
      readonly family: Family;
      /** 4 or 16 bytes; all zero for a default route. */
      readonly address: Uint8Array;
      readonly length: number;
      readonly table: number;
      /** RTPROT_*: 2 = the kernel's own, of a directly connected subnet. */
      readonly protocol: number;
      /** 0 if there is none, or several. */
      readonly interfaceIndex: number;
    }
  /** The answer to a request that failed (`errno` > 0) or was only acknowledged (0). */
  | { readonly kind: 'error'; readonly errno: number; readonly sequence: number }
  /** Messages were lost: ask again for what matters. */
  | { readonly kind: 'overrun' };

/** RTM_GETLINK for one interface, by index or by name (at most 15 bytes). */
export function encodeLinkRequest(link: number | string, sequence: number): Uint8Array {
  const name = typeof link === 'string' ? new TextEncoder().encode(link) : undefined;
  const attribute = name === undefined ? 0 : ATTRIBUTE_HEADER_SIZE + align(name.length + 1);
  const bytes = new Uint8Array(HEADER_SIZE + IFINFO_SIZE + attribute);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, bytes.length, true);
  view.setUint16(4, RTM_GETLINK, true);
  view.setUint16(6, NLM_F_REQUEST, true);
  view.setUint32(8, sequence, true);
  if (name === undefined) {
    view.setInt32(HEADER_SIZE + 4, link as number, true);
  } else {
    const at = HEADER_SIZE + IFINFO_SIZE;
    view.setUint16(at, ATTRIBUTE_HEADER_SIZE + name.length + 1, true);
    view.setUint16(at + 2, IFLA_IFNAME, true);
    bytes.set(name, at + ATTRIBUTE_HEADER_SIZE);
  }
  return bytes;
}

/** What the first `length` bytes say. Unknown messages and attributes are passed over. */
export function decodeNetlink(bytes: Uint8Array, length: number = bytes.length): LinkEvent[] {
  const events: LinkEvent[] = [];
  const end = Math.min(length, bytes.length);
  const view = new DataView(bytes.buffer, bytes.byteOffset, end);
  let at = 0;
  while (at + HEADER_SIZE <= end) {
    const size = view.getUint32(at, true);
    if (size < HEADER_SIZE || size > end - at) break;
    const type = view.getUint16(at + 4, true);
    if (type === NLMSG_DONE) break;
    const event = decodeMessage(view, type, at, at + size);
    if (event !== undefined) events.push(event);
    at += align(size);
  }
  return events;
}

function decodeMessage(
  view: DataView,
  type: number,
  start: number,
  end: number,
): LinkEvent | undefined {
  const body = start + HEADER_SIZE;
  switch (type) {
    case NLMSG_ERROR:
      if (end - body < 4) return undefined;
      return {
        kind: 'error',
        errno: Math.abs(view.getInt32(body, true)),
        sequence: view.getUint32(start + 8, true),
      };
    case NLMSG_OVERRUN:
      return { kind: 'overrun' };
    case RTM_NEWLINK:
    case RTM_DELLINK:
      return decodeLink(view, body, end, type === RTM_DELLINK);
    case RTM_NEWADDR:
    case RTM_DELADDR:
      return decodeAddress(view, body, end, type === RTM_DELADDR);
    case RTM_NEWROUTE:
    case RTM_DELROUTE:
      return decodeRoute(view, body, end, type === RTM_DELROUTE);
    default:
      return undefined;
  }
}

function decodeLink(
  view: DataView,
  body: number,
  end: number,
  removed: boolean,
): LinkEvent | undefined {
  if (end - body < IFINFO_SIZE) return undefined;
  const index = view.getInt32(body + 4, true);
  const flags = view.getUint32(body + 8, true);
  let name = '';
  let mtu = 0;
  for (const { type, at, size } of attributes(view, body + IFINFO_SIZE, end)) {
    if (type === IFLA_IFNAME) name = text(view, at, size);
    if (type === IFLA_MTU && size === 4) mtu = view.getUint32(at, true);
  }
  if (removed) return { kind: 'link-removed', index, name };
  const up = (flags & IFF_UP) !== 0;
  return { kind: 'link', index, name, up, running: (flags & IFF_RUNNING) !== 0, mtu };
}

function decodeAddress(
  view: DataView,
  body: number,
  end: number,
  removed: boolean,
): LinkEvent | undefined {
  if (end - body < IFADDR_SIZE) return undefined;
  const family = familyOf(view.getUint8(body));
  if (family === undefined) return undefined;
  let address: Uint8Array | undefined;
  for (const { type, at, size } of attributes(view, body + IFADDR_SIZE, end)) {
    // On a point-to-point link IFA_ADDRESS is the other side, and IFA_LOCAL is there as well.
    if (type === IFA_LOCAL || (type === IFA_ADDRESS && address === undefined)) {
      if (size === addressSize(family)) address = copy(view, at, size);
    }
  }
  if (address === undefined) return undefined;
  return {
    kind: removed ? 'address-removed' : 'address',
    index: view.getUint32(body + 4, true),
    family,
    address,
    length: view.getUint8(body + 1),
  };
}

function decodeRoute(
  view: DataView,
  body: number,
  end: number,
  removed: boolean,
): LinkEvent | undefined {
  if (end - body < RTMSG_SIZE) return undefined;
  const family = familyOf(view.getUint8(body));
  if (family === undefined) return undefined;
  let address: Uint8Array = new Uint8Array(addressSize(family));
  let table = view.getUint8(body + 4);
  let interfaceIndex = 0;
  for (const { type, at, size } of attributes(view, body + RTMSG_SIZE, end)) {
    if (type === RTA_DST && size === addressSize(family)) address = copy(view, at, size);
    if (type === RTA_OIF && size === 4) interfaceIndex = view.getInt32(at, true);
    if (type === RTA_TABLE && size === 4) table = view.getUint32(at, true);
  }
  return {
    kind: removed ? 'route-removed' : 'route',
    family,
    address,
    length: view.getUint8(body + 1),
    table,
    protocol: view.getUint8(body + 5),
    interfaceIndex,
  };
}

interface Attribute {
  readonly type: number;
  /** Offset of the value. */
  readonly at: number;
  readonly size: number;
}

/** The attributes (struct rtattr) between two offsets; ends at the first that does not fit. */
function* attributes(view: DataView, start: number, end: number): Generator<Attribute> {
  let at = start;
  while (at + ATTRIBUTE_HEADER_SIZE <= end) {
    const size = view.getUint16(at, true);
    if (size < ATTRIBUTE_HEADER_SIZE || size > end - at) return;
    // The two highest bits are flags (NLA_F_NESTED, NLA_F_NET_BYTEORDER).
    const type = view.getUint16(at + 2, true) & 0x3fff;
    yield { type, at: at + ATTRIBUTE_HEADER_SIZE, size: size - ATTRIBUTE_HEADER_SIZE };
    at += align(size);
  }
}

function copy(view: DataView, at: number, size: number): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset + at, size).slice();
}

function text(view: DataView, at: number, size: number): string {
  const bytes = copy(view, at, size);
  const zero = bytes.indexOf(0);
  return new TextDecoder().decode(zero < 0 ? bytes : bytes.subarray(0, zero));
}

function familyOf(value: number): Family | undefined {
  if (value === 2) return 4;
  return value === 10 ? 6 : undefined;
}

function addressSize(family: Family): number {
  return family === 4 ? 4 : 16;
}

/** NLMSG_ALIGN and RTA_ALIGN: both round up to four. */
function align(size: number): number {
  return (size + 3) & ~3;
}
