/**
 * Routes and rules in the messages of route netlink (rtnetlink(7)), bytes only: written one behind the
 * other into a buffer, so that one system call takes hundreds.
 */
import type { Family } from '../routing/address.ts';
import type { TableRoute } from '../routing/route-plan.ts';
import type { RoutingRule } from '../routing/routing-rules.ts';
import {
  AF_INET,
  AF_INET6,
  ATTRIBUTE,
  BODY,
  FIB_RULE_INVERT,
  FR_ACT_TO_TBL,
  FR_ACT_UNREACHABLE,
  FRA_FWMARK,
  FRA_IIFNAME,
  FRA_PRIORITY,
  FRA_PROTOCOL,
  FRA_SUPPRESS_PREFIXLEN,
  FRA_TABLE,
  HEADER,
  LOOPBACK,
  MOST,
  NLM_F_CREATE,
  NLM_F_DUMP,
  NLM_F_EXCL,
  NLM_F_REPLACE,
  NLM_F_REQUEST,
  ROUTE_PROTOCOL,
  RTA_DST,
  RTA_METRICS,
  RTA_OIF,
  RTA_TABLE,
  RTAX_LOCK,
  RTAX_MTU,
  RTM_DELROUTE,
  RTM_DELRULE,
  RTM_GETADDR,
  RTM_GETLINK,
  RTM_GETROUTE,
  RTM_GETRULE,
  RTM_NEWROUTE,
  RTM_NEWRULE,
  RTN_THROW,
  RTN_UNICAST,
  SCOPE_LINK,
  SCOPE_NOWHERE,
  SCOPE_UNIVERSE,
} from './route-numbers.ts';

export type Dumped = 'routes' | 'rules' | 'links' | 'addresses';

/** Type of the question, and bytes of the structure that follows its header. */
const DUMPS: Readonly<Record<Dumped, { readonly type: number; readonly body: number }>> = {
  routes: { type: RTM_GETROUTE, body: BODY },
  rules: { type: RTM_GETRULE, body: BODY },
  links: { type: RTM_GETLINK, body: 16 },
  addresses: { type: RTM_GETADDR, body: 8 },
};

/** Messages one behind the other in one buffer. */
export class RouteWriter {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #end = 0;
  #start = 0;

  constructor(size = 32 << 10) {
    this.#bytes = new Uint8Array(size);
    this.#view = new DataView(this.#bytes.buffer);
  }

  /** Whether another message fits. */
  get hasRoom(): boolean {
    return this.#end + MOST <= this.#bytes.length;
  }

  /** What was written since the last `take`; borrowed until the next message. */
  take(): Uint8Array {
    const bytes = this.#bytes.subarray(0, this.#end);
    this.#end = 0;
    return bytes;
  }

  /** Puts a route in place, also of another for the same prefix. */
  putRoute(route: TableRoute, table: number, interfaceIndex: number, sequence: number): void {
    const { kind, mtu } = route;
    this.#begin(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, sequence);
    this.#route(route, kind === undefined ? SCOPE_LINK : SCOPE_UNIVERSE);
    this.#number(RTA_TABLE, table);
    if (kind === undefined) this.#number(RTA_OIF, interfaceIndex);
    if (kind === undefined && mtu !== undefined) {
      // Of what it forwards over IPv6 the kernel heeds a route's MTU only when that is locked.
      const locked = route.family === 6;
      this.#attribute(RTA_METRICS, (locked ? 2 : 1) * (ATTRIBUTE + 4));
      if (locked) this.#number(RTAX_LOCK, 1 << RTAX_MTU);
      this.#number(RTAX_MTU, mtu);
    }
    this.#finish();
  }

  removeRoute(route: TableRoute, table: number, sequence: number): void {
    this.#begin(RTM_DELROUTE, 0, sequence);
    this.#route(route, SCOPE_NOWHERE);
    this.#number(RTA_TABLE, table);
    this.#finish();
  }

  addRule(rule: RoutingRule, sequence: number): void {
    this.#begin(RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, sequence);
    this.#rule(rule);
  }

  removeRule(rule: RoutingRule, sequence: number): void {
    this.#begin(RTM_DELRULE, 0, sequence);
    this.#rule(rule);
  }

  /** Asks for all that there are of a family; of routes, in one table. */
  dump(what: Dumped, family: Family, sequence: number, table = 0): void {
    const { type, body } = DUMPS[what];
    this.#begin(type, NLM_F_DUMP, sequence);
    this.#bytes.fill(0, this.#end, this.#end + body);
    // Links have no family.
    if (what !== 'links') this.#bytes[this.#end] = numberOfFamily(family);
    this.#end += body;
    if (table !== 0) this.#number(RTA_TABLE, table);
    this.#finish();
  }

  #begin(type: number, flags: number, sequence: number): void {
    const at = this.#end;
    this.#start = at;
    this.#view.setUint16(at + 4, type, true);
    this.#view.setUint16(at + 6, NLM_F_REQUEST | flags, true);
    this.#view.setUint32(at + 8, sequence, true);
    this.#view.setUint32(at + 12, 0, true);
    this.#end = at + HEADER;
  }

  #finish(): void {
    this.#view.setUint32(this.#start, this.#end - this.#start, true);
  }

  #route({ family, address, length, kind }: TableRoute, scope: number): void {
    const at = this.#end;
    this.#bytes.fill(0, at, at + BODY);
    this.#bytes[at] = numberOfFamily(family);
    this.#bytes[at + 1] = length;
    this.#bytes[at + 5] = ROUTE_PROTOCOL;
    this.#bytes[at + 6] = scope;
    this.#bytes[at + 7] = kind === 'throw' ? RTN_THROW : RTN_UNICAST;
    this.#end = at + BODY;
    this.#attribute(RTA_DST, address.length);
    this.#bytes.set(address, this.#end);
    this.#end += address.length;
  }

  #rule(rule: RoutingRule): void {
    const { family, priority, table, unlessMark, forwardedOnly, suppressDefault, refuses } = rule;
    const at = this.#end;
    this.#bytes.fill(0, at, at + BODY);
    this.#bytes[at] = numberOfFamily(family);
    this.#bytes[at + 4] = table < 256 ? table : 0;
    this.#bytes[at + 7] = refuses ? FR_ACT_UNREACHABLE : FR_ACT_TO_TBL;
    this.#bytes[at + 8] = unlessMark !== undefined || forwardedOnly ? FIB_RULE_INVERT : 0;
    this.#end = at + BODY;
    this.#number(FRA_PRIORITY, priority);
    this.#number(FRA_TABLE, table);
    if (unlessMark !== undefined) this.#number(FRA_FWMARK, unlessMark);
    if (forwardedOnly) {
      this.#attribute(FRA_IIFNAME, LOOPBACK.length + 1);
      this.#bytes.set(LOOPBACK, this.#end);
      this.#bytes[this.#end + LOOPBACK.length] = 0;
      this.#end += 4;
    }
    if (suppressDefault) this.#number(FRA_SUPPRESS_PREFIXLEN, 0);
    this.#attribute(FRA_PROTOCOL, 1);
    this.#view.setUint32(this.#end, ROUTE_PROTOCOL, true);
    this.#end += 4;
    this.#finish();
  }

  #number(type: number, value: number): void {
    this.#attribute(type, 4);
    this.#view.setUint32(this.#end, value, true);
    this.#end += 4;
  }

  #attribute(type: number, size: number): void {
    this.#view.setUint16(this.#end, ATTRIBUTE + size, true);
    this.#view.setUint16(this.#end + 2, type, true);
    this.#end += ATTRIBUTE;
  }
}

function numberOfFamily(family: Family): number {
  return family === 4 ? AF_INET : AF_INET6;
}
