/**
 * Whose an address is: this connector's or another's, by the longest prefix of the netmap, and so
 * whether a connection crosses the mesh. Pure.
 *
 * With a default route through another connector every address is somebody's. Two ends that are
 * only that are no connection of the mesh but this host's own on the internet, encrypted datagrams to
 * an edge for example.
 *
 * Another netmap costs what is different in it, and a glance at each peer: less than its translation
 * did. So nobody has to judge by an old one for want of time.
 */
import { isDefaultRoute } from '../../control/breakout.ts';
import type { Netmap } from '../../control/netmap.ts';
import type { Family } from '../../routing/address.ts';
import { AllowedIps, NO_VALUE } from '../../routing/allowed-ips.ts';
import { differing } from '../../routing/lists.ts';
import { readIpv4 } from '../../routing/packet.ts';
import { type Prefix, parsePrefix } from '../../routing/prefix.ts';
import type { Tuple } from '../../tun/conntrack-messages.ts';
import type { MeshRoute, Wanted } from '../mesh/netmap-translation.ts';
import { FormerSides } from './former-sides.ts';

/** A prefix and the connector that it belongs to. */
export interface Side {
  /** Name of the connector. */
  readonly connector: string;
  readonly prefix: string;
  /** Of another connector; false = ours. */
  readonly remote: boolean;
  /** A default route. */
  readonly whole: boolean;
  /** Public key of the replica that carries it, in base64; empty for ours. */
  readonly publicKey: string;
}

/** The two ends of a connection that crosses the mesh. */
export interface Ends {
  readonly source: Side | undefined;
  readonly destination: Side | undefined;
}

/** A side in the table, and the update that named it last. */
interface Entry extends Side {
  readonly bytes: Prefix;
  seen: number;
}

/** Our mesh IPs are nobody else's, whatever their routes say. */
const ABOVE_ALL = Number.NEGATIVE_INFINITY;

/** What we are: our name, and our own prefixes with their priorities. */
interface Own {
  /** What it was taken from. */
  readonly self: Netmap['self'];
  readonly priorities: ReadonlyMap<string, number>;
}

export class FlowSides {
  readonly #table = new AllowedIps();
  readonly #entries: (Entry | undefined)[] = [];
  /** Places in `#entries`, by the text of the prefix. */
  readonly #places = new Map<string, number>();
  readonly #free: number[] = [];
  readonly #former = new FormerSides();
  #updates = 0;
  #own: Own | undefined;
  #peers: Netmap['peers'] = [];
  #lists: Wanted['routeLists'] = [];

  /**
   * From now on so.
   *
   * @param now since when, in ms since the Unix epoch
   */
  update(
    { self, peers }: Pick<Netmap, 'self' | 'peers'>,
    { routeLists }: Pick<Wanted, 'routeLists'>,
    now: number,
  ): void {
    this.#updates++;
    // Prefixes that somebody had until now, or that may be ours.
    const loose: string[] = [];
    this.#takeSelf(self, loose);
    const changed = differing(this.#peers, peers);
    for (const { serving, mesh } of changed.before) if (serving) loose.push(mesh.ipv4, mesh.ipv6);
    for (const { serving, mesh, name: connector, publicKey } of changed.after) {
      if (!serving) continue;
      for (const prefix of [mesh.ipv4, mesh.ipv6]) {
        this.#put({ connector, prefix, remote: true, publicKey }, undefined, now);
      }
    }
    const lists = differing(this.#lists, routeLists);
    const before = new Map(lists.before.map((list) => [list[0]?.publicKey, list]));
    for (const list of lists.after) {
      const key = list[0]?.publicKey;
      const routes = differing(before.get(key) ?? [], list, isSameRoute);
      before.delete(key);
      for (const { text } of routes.before) loose.push(text);
      for (const route of routes.after) this.#putRoute(route, now);
    }
    for (const list of before.values()) for (const { text } of list) loose.push(text);
    for (const text of loose) this.#settle(text, now);
    this.#peers = peers;
    this.#lists = routeLists;
  }

  /** Whose exactly this prefix is. */
  get(prefix: string): Side | undefined {
    const place = this.#places.get(prefix);
    return place === undefined ? undefined : this.#entries[place];
  }

  /** @param address its first 4 or 16 bytes count */
  of(family: Family, address: Uint8Array): Side | undefined {
    const value =
      family === 4 ? this.#table.lookup4(readIpv4(address, 0)) : this.#table.lookup6(address, 0);
    return value === NO_VALUE ? undefined : this.#entries[value];
  }

  /** Whose the two ends are; undefined = the connection does not cross the mesh. */
  ends(family: Family, original: Tuple, reply: Tuple): Ends | undefined {
    return endsOf(original, reply, (address) => this.of(family, address));
  }

  /**
   * Whose they were, of a connection that crossed the mesh when it began, and would not now.
   *
   * @param start ms since the Unix epoch; 0 = longer ago than anybody knows
   */
  formerEnds(family: Family, original: Tuple, reply: Tuple, start: number): Ends | undefined {
    if (this.#former.isEmpty) return undefined;
    return endsOf(original, reply, (address) => this.at(family, address, start));
  }

  /** Whose the address was at that time, as far as is remembered. */
  at(family: Family, address: Uint8Array, time: number): Side | undefined {
    return this.#former.of(family, address, time) ?? this.of(family, address);
  }

  /** There is no netmap any more. */
  clear(now: number): void {
    if (this.#own !== undefined) {
      this.update({ self: this.#own.self, peers: [] }, { routeLists: [] }, now);
    }
  }

  /** What was long ago is not asked for any more. */
  forget(now: number): void {
    this.#former.forget(now);
  }

  /** With another set of our own, all is looked at anew. */
  #takeSelf(self: Netmap['self'], loose: string[]): void {
    const before = this.#own;
    if (self === before?.self) return;
    const priorities = new Map([self.mesh.ipv4, self.mesh.ipv6].map((text) => [text, ABOVE_ALL]));
    for (const { prefix, priority, approved } of self.routes) {
      if (approved) priorities.set(prefix, priority);
    }
    this.#own = { self, priorities };
    if (before?.self.name === self.name && isSameMap(before.priorities, priorities)) return;
    for (const text of this.#places.keys()) loose.push(text);
    for (const text of priorities.keys()) loose.push(text);
    this.#peers = [];
    this.#lists = [];
  }

  /** Ours if we prefer our own. A default route is another's only where we chose him for it. */
  #putRoute({ text, prefix, connector, priority, publicKey }: MeshRoute, now: number): void {
    const ours = this.#own!.priorities.get(text) ?? Number.POSITIVE_INFINITY;
    if (ours <= priority && !isDefaultRoute(text)) return;
    this.#put({ connector, prefix: text, remote: true, publicKey }, prefix, now);
  }

  #put(side: Omit<Side, 'whole'>, parsed: Prefix | undefined, now: number): void {
    const { prefix, connector, remote, publicKey } = side;
    const place = this.#places.get(prefix);
    const before = place === undefined ? undefined : this.#entries[place];
    const isSame = before?.connector === connector && before.publicKey === publicKey;
    if (before !== undefined && isSame && before.remote === remote) {
      before.seen = this.#updates;
      return;
    }
    if (before?.remote === true && !remote) this.#former.add(before, before.bytes, now);
    const bytes = before?.bytes ?? parsed ?? parsePrefix(prefix)!;
    const value = place ?? this.#free.pop() ?? this.#entries.length;
    this.#entries[value] = { ...side, whole: bytes.length === 0, bytes, seen: this.#updates };
    if (place !== undefined) return;
    this.#places.set(prefix, value);
    this.#table.insert(bytes, value);
  }

  /** What another has by now is his; what nobody else has is ours, if it is to be, or goes. */
  #settle(text: string, now: number): void {
    const place = this.#places.get(text);
    const entry = place === undefined ? undefined : this.#entries[place];
    if (entry?.seen === this.#updates) return;
    const { self, priorities } = this.#own!;
    if (priorities.has(text)) {
      const ours = { connector: self.name, prefix: text, remote: false, publicKey: '' };
      this.#put(ours, undefined, now);
    } else if (place !== undefined && entry !== undefined) {
      if (entry.remote) this.#former.add(entry, entry.bytes, now);
      this.#table.remove(entry.bytes);
      this.#places.delete(text);
      this.#entries[place] = undefined;
      this.#free.push(place);
    }
  }
}

function isSameRoute(a: MeshRoute, b: MeshRoute): boolean {
  return a.text === b.text && a.priority === b.priority && a.connector === b.connector;
}

function isSameMap(a: ReadonlyMap<string, number>, b: ReadonlyMap<string, number>): boolean {
  return a.size === b.size && [...a].every(([text, priority]) => b.get(text) === priority);
}

function endsOf(
  original: Tuple,
  reply: Tuple,
  of: (address: Uint8Array) => Side | undefined,
): Ends | undefined {
  const source = of(original.source);
  let destination = of(original.destination);
  // Whoever answers is the true destination: somebody may have translated its address.
  if (destination?.whole !== false) destination = of(reply.source) ?? destination;
  return crosses(source, destination) ? { source, destination } : undefined;
}

/** From ours, or nobody's, to another connector's, or between two others. */
export function crosses(source: Side | undefined, destination: Side | undefined): boolean {
  if (source?.remote !== true && destination?.remote !== true) return false;
  return !(source?.whole === true && destination?.whole === true);
}
