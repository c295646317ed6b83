/**
 * Whose address it is: this connector's or another's, by the longest prefix of the netmap, and so
 * whether a connection crosses the mesh. Pure.
 *
 * With a default route through another connector every address is somebody's. Two ends that are
 * only that are no connection of the mesh but this host's own on the internet, encrypted datagrams to
 * an edge for example.
 */
import type { Netmap } from '../../control/netmap.ts';
import type { Family } from '../../routing/address.ts';
import { AllowedIps, NO_VALUE } from '../../routing/allowed-ips.ts';
import { readIpv4 } from '../../routing/packet.ts';
import { type Prefix, parsePrefix } from '../../routing/prefix.ts';
import type { Tuple } from '../../tun/conntrack-messages.ts';
import type { Wanted } from '../mesh/netmap-translation.ts';

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

/** A side in the table, and the netmap that it was seen in last. */
interface Entry extends Side {
  readonly bytes: Prefix;
  seen: number;
}

export class FlowSides {
  readonly #table = new AllowedIps();
  readonly #entries: (Entry | undefined)[] = [];
  /** Places in `#entries`, by the text of the prefix. */
  readonly #places = new Map<string, number>();
  readonly #free: number[] = [];
  #updates = 0;

  /** From now on so. What is as before costs a look: of 100,000 prefixes few change at a time. */
  update(netmap: Netmap, { routes }: Pick<Wanted, 'routes'>): void {
    this.#updates++;
    const { self, peers } = netmap;
    const own = new Map(
      self.routes.flatMap(({ prefix, priority, approved }) =>
        approved ? [[prefix, priority]] : [],
      ),
    );
    for (const text of [self.mesh.ipv4, self.mesh.ipv6, ...own.keys()]) {
      this.#put(text, undefined, self.name, false, '');
    }
    for (const { mesh, name, serving, publicKey } of peers) {
      if (!serving) continue;
      this.#put(mesh.ipv4, undefined, name, true, publicKey);
      this.#put(mesh.ipv6, undefined, name, true, publicKey);
    }
    for (const { text, prefix, connector, priority, publicKey } of routes) {
      if ((own.get(text) ?? Number.POSITIVE_INFINITY) <= priority) continue;
      this.#put(text, prefix, connector, true, publicKey);
    }
    this.#sweep();
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
    const source = this.of(family, original.source);
    let destination = this.of(family, original.destination);
    // Whoever answers is the true destination: somebody may have translated its address.
    if (destination?.whole !== false) destination = this.of(family, reply.source) ?? destination;
    return crosses(source, destination) ? { source, destination } : undefined;
  }

  #put(
    text: string,
    parsed: Prefix | undefined,
    connector: string,
    remote: boolean,
    publicKey: string,
  ): void {
    const place = this.#places.get(text);
    const before = place === undefined ? undefined : this.#entries[place];
    const isSame = before?.connector === connector && before.publicKey === publicKey;
    if (before !== undefined && isSame && before.remote === remote) {
      before.seen = this.#updates;
      return;
    }
    const bytes = before?.bytes ?? parsed ?? parsePrefix(text)!;
    const value = place ?? this.#free.pop() ?? this.#entries.length;
    const seen = this.#updates;
    const side = { connector, prefix: text, remote, whole: bytes.length === 0, publicKey };
    this.#entries[value] = { ...side, bytes, seen };
    if (place !== undefined) return;
    this.#places.set(text, value);
    this.#table.insert(bytes, value);
  }

  #sweep(): void {
    for (const [text, place] of this.#places) {
      const { seen, bytes } = this.#entries[place]!;
      if (seen === this.#updates) continue;
      this.#table.remove(bytes);
      this.#places.delete(text);
      this.#entries[place] = undefined;
      this.#free.push(place);
    }
  }
}

/** From ours, or nobody's, to another connector's, or between two others. */
export function crosses(source: Side | undefined, destination: Side | undefined): boolean {
  if (source?.remote !== true && destination?.remote !== true) return false;
  return !(source?.whole === true && destination?.whole === true);
}
