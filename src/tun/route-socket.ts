/**
 * Asks the kernel for routes and rules, and changes them, over a route netlink socket of our own. The
 * kernel works on a request while `send` runs, so its answers are there when that returns: requests take
 * no turn of the event loop, and 100,000 routes take hundreds of system calls instead of processes.
 */
import { constants } from 'node:os';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { getSystemErrorName } from 'node:util';
import { CausewayError } from '../errors.ts';
import type { Addon } from '../native/addon.ts';
import type { Family } from '../routing/address.ts';
import { formatPrefix } from '../routing/prefix.ts';
import type { TableRoute } from '../routing/route-plan.ts';
import type { RoutingRule } from '../routing/routing-rules.ts';
import { NETLINK_ROUTE } from './netlink-socket.ts';
import {
  type KernelRoute,
  type KernelRule,
  readDumpState,
  readRouteMessages,
} from './route-reader.ts';
import { type Dumped, RouteWriter } from './route-writer.ts';
import { decodeNetlink, type LinkEvent } from './rtnetlink.ts';

const { EAFNOSUPPORT, EAGAIN, EEXIST, EINTR, ENOBUFS, ENODEV, ENOENT, EPERM, ESRCH } =
  constants.errno;

/** What a refusal of each of a batch takes, and more. */
const KERNEL_BUFFER = 1 << 20;
/** The kernel answers a question for everything with messages up to this size. */
const ANSWER_SIZE = 64 << 10;
/** Messages in one system call: a millisecond's work, after which others have their turn. */
const BATCH = 256;
const MOST_ATTEMPTS = 5;
/** Of nlmsg_pid in a message. */
const PORT_OFFSET = 12;

/** Something that the kernel refused. */
export interface Refusal {
  readonly what: string;
  readonly errno: number;
}

type AddressEvent = Extract<LinkEvent, { readonly length: number; readonly index: number }>;

export class RouteSocket {
  readonly #addon: Addon;
  readonly #fd: number;
  readonly #writer = new RouteWriter();
  readonly #answer = new Uint8Array(ANSWER_SIZE);
  #sequence = 0;
  #port = 0;

  /** @throws CausewayError PERMISSION where the kernel gives no such socket */
  constructor(addon: Addon) {
    this.#addon = addon;
    this.#fd = addon.openNetlink(0, -1, NETLINK_ROUTE, KERNEL_BUFFER);
    if (this.#fd < 0) throw refused('A netlink socket', -this.#fd);
  }

  close(): void {
    this.#addon.close(this.#fd);
  }

  /** Ours among netlink's addresses: notices of what we changed carry it. */
  get port(): number {
    // Every answer carries it.
    if (this.#port === 0) this.readLinks();
    return this.#port;
  }

  /** The routes of a table; without one, those of all. */
  readRoutes(family: Family, table?: number): KernelRoute[] {
    const routes: KernelRoute[] = [];
    this.#dump('routes', family, table, (bytes, length) =>
      readRouteMessages(bytes, length, (message) => {
        if (message.kind !== 'route' || message.route.prefix.family !== family) return;
        if (table === undefined || message.route.table === table) routes.push(message.route);
      }),
    );
    return routes;
  }

  readRules(family: Family): KernelRule[] {
    const rules: KernelRule[] = [];
    this.#dump('rules', family, undefined, (bytes, length) =>
      readRouteMessages(bytes, length, (message) => {
        if (message.kind === 'rule' && message.rule.family === family) rules.push(message.rule);
      }),
    );
    return rules;
  }

  /** All interfaces of this network namespace. */
  readLinks(): Extract<LinkEvent, { kind: 'link' }>[] {
    return this.#readEvents('links', 4).filter((event) => event.kind === 'link');
  }

  readAddresses(family: Family): AddressEvent[] {
    return this.#readEvents('addresses', family).filter(
      (event): event is AddressEvent =>
        event.kind === 'address' && event.address.length === (family === 4 ? 4 : 16),
    );
  }

  #readEvents(what: 'links' | 'addresses', family: Family): LinkEvent[] {
    const events: LinkEvent[] = [];
    this.#dump(what, family, undefined, (bytes, length) =>
      events.push(...decodeNetlink(bytes, length)),
    );
    return events;
  }

  /**
   * Puts routes into a table, in place of others for the same prefixes; what is refused does not keep
   * the rest from it.
   *
   * @returns by index, what was refused
   */
  async putRoutes(
    routes: readonly TableRoute[],
    table: number,
    interfaceIndex: number,
  ): Promise<Map<number, Refusal>> {
    return this.#change(routes, (route, sequence) =>
      this.#writer.putRoute(route, table, interfaceIndex, sequence),
    );
  }

  /** Takes routes out of a table; one that is not there is no fault. */
  async removeRoutes(routes: readonly TableRoute[], table: number): Promise<Map<number, Refusal>> {
    const refusals = await this.#change(routes, (route, sequence) =>
      this.#writer.removeRoute(route, table, sequence),
    );
    for (const [index, { errno }] of refusals) {
      if (errno === ESRCH || errno === ENOENT || errno === ENODEV) refusals.delete(index);
    }
    return refusals;
  }

  /** @throws CausewayError PERMISSION, COMMAND_FAILED; not for a rule that is there */
  addRule(rule: RoutingRule): void {
    this.#writer.addRule(rule, ++this.#sequence);
    this.#single(`The rule ${rule.priority} for table ${rule.table}`, [EEXIST]);
  }

  /** @throws CausewayError PERMISSION, COMMAND_FAILED; not for a rule that is gone */
  removeRule(rule: RoutingRule): void {
    this.#writer.removeRule(rule, ++this.#sequence);
    this.#single(`The rule ${rule.priority} for table ${rule.table}`, [ENOENT, ESRCH]);
  }

  #single(what: string, fine: readonly number[]): void {
    for (const [, errno] of this.#send()) if (!fine.includes(errno)) throw refused(what, errno);
  }

  async #change(
    routes: readonly TableRoute[],
    write: (route: TableRoute, sequence: number) => void,
  ): Promise<Map<number, Refusal>> {
    const refusals = new Map<number, Refusal>();
    const first = this.#sequence + 1;
    let inBatch = 0;
    const flush = (): void => {
      inBatch = 0;
      for (const [sequence, errno] of this.#send()) {
        const index = sequence - first;
        const route = routes[index];
        if (route !== undefined) refusals.set(index, { what: formatPrefix(route), errno });
      }
    };
    for (const route of routes) {
      if (inBatch === BATCH || !this.#writer.hasRoom) {
        flush();
        await nextTurn();
      }
      write(route, ++this.#sequence);
      inBatch++;
    }
    flush();
    return refusals;
  }

  /** Sends what was written; sequence numbers and errnos of what was refused. */
  #send(): [sequence: number, errno: number][] {
    const bytes = this.#writer.take();
    if (bytes.length === 0) return [];
    const sent = this.#addon.send(this.#fd, bytes);
    if (sent < 0) throw refused('A change of routes', -sent);
    const errors: [number, number][] = [];
    const isWhole = this.#receive((bytes, length) =>
      readRouteMessages(bytes, length, (message) => {
        if (message.kind === 'error' && message.errno !== 0) {
          errors.push([message.sequence, message.errno]);
        }
      }),
    );
    if (!isWhole) throw refused('A change of routes', ENOBUFS);
    return errors;
  }

  /**
   * Asks for everything; `visit` gets the answer, once it is whole. A kernel without IPv6 refuses to say
   * its rules, and says those of IPv4 for everything else.
   */
  #dump(
    what: Dumped,
    family: Family,
    table: number | undefined,
    visit: (bytes: Uint8Array, length: number) => void,
  ): void {
    for (let attempt = 1; ; attempt++) {
      this.#writer.dump(what, family, ++this.#sequence, table);
      const sent = this.#addon.send(this.#fd, this.#writer.take());
      if (sent < 0) throw refused(`To read the ${what}`, -sent);
      const found: Uint8Array[] = [];
      let [isEnded, isWhole] = [false, true];
      const isRead = this.#receive((bytes, length) => {
        this.#port = new DataView(bytes.buffer).getUint32(PORT_OFFSET, true);
        found.push(bytes.slice(0, length));
        readDumpState(bytes, length, (state) => {
          if (state === 'interrupted') isWhole = false;
          else if (state === 'ended') isEnded = true;
          // A table that has no routes is not there.
          else if (state === ENOENT || state === EAFNOSUPPORT) isEnded = true;
          else throw refused(`To read the ${what}`, state);
        });
      });
      // The kernel ran out of memory on the way.
      if (!isEnded) throw refused(`To read the ${what}`, ENOBUFS);
      if (!(isWhole && isRead) && attempt < MOST_ATTEMPTS) continue;
      for (const bytes of found) visit(bytes, bytes.length);
      return;
    }
  }

  /** Reads what waits; whether that is all. A question for everything is answered as it is read. */
  #receive(visit: (bytes: Uint8Array, length: number) => void): boolean {
    let isWhole = true;
    for (;;) {
      const size = this.#addon.receive(this.#fd, this.#answer);
      if (size === -EINTR) continue;
      if (size === -ENOBUFS) {
        isWhole = false;
        continue;
      }
      if (size === -EAGAIN || size === 0) return isWhole;
      if (size < 0) throw refused('To read from the kernel', -size);
      visit(this.#answer, size);
    }
  }
}

/** The sentence for a refusal. */
export function refused(what: string, errno: number): CausewayError {
  if (errno === EPERM) {
    return new CausewayError(
      'PERMISSION',
      'No permission to change addresses and routes: run as root, or with CAP_NET_ADMIN.',
    );
  }
  const name = getSystemErrorName(-errno);
  return new CausewayError('COMMAND_FAILED', `${what} was refused by the kernel: ${name}.`);
}
