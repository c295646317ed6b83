/**
 * What the kernel says of routes and rules over route netlink (rtnetlink(7)), read from its bytes. Input
 * that is malformed ends the reading; what was found before it counts.
 */
import type { Family } from '../routing/address.ts';
import { type Prefix, prefixOf } from '../routing/prefix.ts';
import type { RoutingRule } from '../routing/routing-rules.ts';
import {
  AF_INET,
  AF_INET6,
  ALL_BITS,
  ATTRIBUTE,
  BODY,
  FIB_RULE_INVERT,
  FR_ACT_TO_TBL,
  FR_ACT_UNREACHABLE,
  FRA_DST,
  FRA_FWMARK,
  FRA_FWMASK,
  FRA_IIFNAME,
  FRA_PRIORITY,
  FRA_PROTOCOL,
  FRA_SRC,
  FRA_SUPPRESS_PREFIXLEN,
  FRA_TABLE,
  HEADER,
  LOOPBACK,
  NLM_F_DUMP_INTR,
  NLMSG_DONE,
  NLMSG_ERROR,
  RTA_DST,
  RTA_METRICS,
  RTA_OIF,
  RTA_TABLE,
  RTAX_MTU,
  RTM_DELROUTE,
  RTM_DELRULE,
  RTM_F_CLONED,
  RTM_NEWROUTE,
  RTM_NEWRULE,
  RTN_THROW,
  RTN_UNICAST,
} from './route-numbers.ts';

/** A route as the kernel tells it. */
export interface KernelRoute {
  readonly removed: boolean;
  readonly prefix: Prefix;
  readonly table: number;
  readonly protocol: number;
  /** Undefined: of a kind that tunnels have none of. */
  readonly kind: 'unicast' | 'throw' | undefined;
  /** 0 if there is none, or several. */
  readonly interfaceIndex: number;
  readonly mtu: number | undefined;
}

/** A rule as the kernel tells it. */
export interface KernelRule {
  readonly removed: boolean;
  readonly family: Family;
  readonly priority: number;
  readonly table: number;
  readonly mark: number | undefined;
  readonly protocol: number;
  /** Undefined: it is none that a tunnel makes. */
  readonly rule: RoutingRule | undefined;
}

export type RouteMessage =
  | { readonly kind: 'route'; readonly route: KernelRoute }
  | { readonly kind: 'rule'; readonly rule: KernelRule }
  | { readonly kind: 'error'; readonly errno: number; readonly sequence: number };

/**
 * Calls `visit` for what a part of an answer for everything says of itself: that the kernel's tables
 * changed meanwhile, so that it is to be asked again, that it ends here, or an errno.
 */
export function readDumpState(
  bytes: Uint8Array,
  length: number,
  visit: (state: 'interrupted' | 'ended' | number) => void,
): void {
  forEachMessage(bytes, length, (view, at, end) => {
    const type = view.getUint16(at + 4, true);
    if ((view.getUint16(at + 6, true) & NLM_F_DUMP_INTR) !== 0 && type !== NLMSG_ERROR) {
      visit('interrupted');
    }
    // The end of the answer carries an errno as well.
    if ((type === NLMSG_ERROR || type === NLMSG_DONE) && end - at >= HEADER + 4) {
      const errno = Math.abs(view.getInt32(at + HEADER, true));
      if (errno !== 0) visit(errno);
      else if (type === NLMSG_DONE) visit('ended');
    }
  });
}

/** Calls `visit` for each message in the first `length` bytes. */
export function readRouteMessages(
  bytes: Uint8Array,
  length: number,
  visit: (message: RouteMessage) => void,
): void {
  forEachMessage(bytes, length, (view, at, end) => {
    const message = decode(bytes, view, view.getUint16(at + 4, true), at, end);
    if (message !== undefined) visit(message);
  });
}

/** Calls `visit` for each message in the first `length` bytes, with its beginning and end. */
export function forEachMessage(
  bytes: Uint8Array,
  length: number,
  visit: (view: DataView, at: number, end: number) => void,
): void {
  const end = Math.min(length, bytes.length);
  const view = new DataView(bytes.buffer, bytes.byteOffset, end);
  for (let at = 0; at + HEADER <= end; ) {
    const size = view.getUint32(at, true);
    if (size < HEADER || size > end - at) return;
    visit(view, at, at + size);
    at += (size + 3) & ~3;
  }
}

function decode(
  bytes: Uint8Array,
  view: DataView,
  type: number,
  start: number,
  end: number,
): RouteMessage | undefined {
  const body = start + HEADER;
  if (type === NLMSG_ERROR) {
    if (end - body < 4) return undefined;
    const errno = Math.abs(view.getInt32(body, true));
    return { kind: 'error', errno, sequence: view.getUint32(start + 8, true) };
  }
  if (end - body < BODY) return undefined;
  const family = familyOf(view.getUint8(body));
  if (family === undefined) return undefined;
  if (type === RTM_NEWROUTE || type === RTM_DELROUTE) {
    const route = decodeRoute(bytes, view, family, body, end, type === RTM_DELROUTE);
    return route && { kind: 'route', route };
  }
  if (type !== RTM_NEWRULE && type !== RTM_DELRULE) return undefined;
  return { kind: 'rule', rule: decodeRule(view, family, body, end, type === RTM_DELRULE) };
}

function decodeRoute(
  bytes: Uint8Array,
  view: DataView,
  family: Family,
  body: number,
  end: number,
  removed: boolean,
): KernelRoute | undefined {
  const size = family === 4 ? 4 : 16;
  if ((view.getUint32(body + 8, true) & RTM_F_CLONED) !== 0) return undefined;
  let address: Uint8Array = NOWHERE[family];
  let table = view.getUint8(body + 4);
  let interfaceIndex = 0;
  let mtu: number | undefined;
  for (let at = body + BODY; at + ATTRIBUTE <= end; ) {
    const length = view.getUint16(at, true);
    if (length < ATTRIBUTE || length > end - at) break;
    const value = at + ATTRIBUTE;
    switch (view.getUint16(at + 2, true) & 0x3fff) {
      case RTA_DST:
        if (length === ATTRIBUTE + size) address = bytes.subarray(value, value + size);
        break;
      case RTA_OIF:
        if (length === ATTRIBUTE + 4) interfaceIndex = view.getUint32(value, true);
        break;
      case RTA_TABLE:
        if (length === ATTRIBUTE + 4) table = view.getUint32(value, true);
        break;
      case RTA_METRICS:
        mtu = numberIn(view, value, at + length, RTAX_MTU);
        break;
    }
    at += (length + 3) & ~3;
  }
  const length = view.getUint8(body + 1);
  if (length > size * 8) return undefined;
  const type = view.getUint8(body + 7);
  return {
    removed,
    prefix: prefixOf(address, length),
    table,
    protocol: view.getUint8(body + 5),
    kind: KINDS.get(type),
    interfaceIndex,
    mtu,
  };
}

const KINDS: ReadonlyMap<number, KernelRoute['kind']> = new Map([
  [RTN_UNICAST, 'unicast'],
  [RTN_THROW, 'throw'],
]);

const NOWHERE = { 4: new Uint8Array(4), 6: new Uint8Array(16) } as const;

function decodeRule(
  view: DataView,
  family: Family,
  body: number,
  end: number,
  removed: boolean,
): KernelRule {
  const number = (type: number): number | undefined => numberIn(view, body + BODY, end, type);
  const table = number(FRA_TABLE) ?? view.getUint8(body + 4);
  const priority = number(FRA_PRIORITY) ?? 0;
  const mark = number(FRA_FWMARK);
  const suppress = number(FRA_SUPPRESS_PREFIXLEN) ?? ALL_BITS;
  const inverted = (view.getUint32(body + 8, true) & FIB_RULE_INVERT) !== 0;
  const device = findAttribute(view, body + BODY, end, FRA_IIFNAME);
  const forwardedOnly = device !== undefined && isLoopback(view, device);
  const action = view.getUint8(body + 7);
  const refuses = action === FR_ACT_UNREACHABLE;
  const plain =
    (action === FR_ACT_TO_TBL || refuses) &&
    inverted === (mark !== undefined || forwardedOnly) &&
    (mark === undefined || !forwardedOnly) &&
    forwardedOnly === (device !== undefined) &&
    (suppress === 0 || suppress === ALL_BITS) &&
    (mark === undefined || (number(FRA_FWMASK) ?? ALL_BITS) === ALL_BITS) &&
    findAttribute(view, body + BODY, end, FRA_DST) === undefined &&
    findAttribute(view, body + BODY, end, FRA_SRC) === undefined;
  return {
    removed,
    family,
    priority,
    table,
    mark,
    protocol: number(FRA_PROTOCOL) ?? 0,
    rule: plain
      ? {
          ...{ family, priority, table, unlessMark: mark, forwardedOnly },
          ...{ suppressDefault: suppress === 0, refuses },
        }
      : undefined,
  };
}

/** The value of an attribute of one, or four, bytes. */
function numberIn(view: DataView, start: number, end: number, type: number): number | undefined {
  const at = findAttribute(view, start, end, type);
  if (at === undefined) return undefined;
  const length = view.getUint16(at, true);
  if (length === ATTRIBUTE + 4) return view.getUint32(at + ATTRIBUTE, true);
  return length === ATTRIBUTE + 1 ? view.getUint8(at + ATTRIBUTE) : undefined;
}

/** Where an attribute begins, between two offsets. */
function findAttribute(
  view: DataView,
  start: number,
  end: number,
  type: number,
): number | undefined {
  for (let at = start; at + ATTRIBUTE <= end; ) {
    const length = view.getUint16(at, true);
    if (length < ATTRIBUTE || length > end - at) return undefined;
    if ((view.getUint16(at + 2, true) & 0x3fff) === type) return at;
    at += (length + 3) & ~3;
  }
  return undefined;
}

function isLoopback(view: DataView, at: number): boolean {
  const length = view.getUint16(at, true) - ATTRIBUTE;
  if (length !== LOOPBACK.length && length !== LOOPBACK.length + 1) return false;
  return LOOPBACK.every((byte, i) => view.getUint8(at + ATTRIBUTE + i) === byte);
}

function familyOf(value: number): Family | undefined {
  if (value === AF_INET) return 4;
  return value === AF_INET6 ? 6 : undefined;
}
