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
import { parsePrefix } from '../../routing/prefix.ts';
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

export class FlowSides {
  readonly #table = new AllowedIps();
  readonly #sides: Side[] = [];

  constructor(netmap: Netmap, { routes }: Pick<Wanted, 'routes'>) {
    const { self, peers } = netmap;
    const own = new Map(
      self.routes.flatMap(({ prefix, priority, approved }) =>
        approved ? [[prefix, priority]] : [],
      ),
    );
    const ours = { connector: self.name, remote: false, publicKey: '' };
    for (const prefix of [self.mesh.ipv4, self.mesh.ipv6, ...own.keys()]) {
      this.#add(prefix, ours);
    }
    for (const { mesh, name, serving, publicKey } of peers) {
      if (!serving) continue;
      for (const prefix of [mesh.ipv4, mesh.ipv6]) {
        this.#add(prefix, { connector: name, remote: true, publicKey });
      }
    }
    for (const { text, connector, priority, publicKey } of routes) {
      if ((own.get(text) ?? Number.POSITIVE_INFINITY) <= priority) continue;
      this.#add(text, { connector, remote: true, publicKey });
    }
  }

  /** Whose exactly this prefix is. */
  get(prefix: string): Side | undefined {
    const value = this.#table.get(parsePrefix(prefix)!);
    return value === NO_VALUE ? undefined : this.#sides[value];
  }

  /** @param address its first 4 or 16 bytes count */
  of(family: Family, address: Uint8Array): Side | undefined {
    const value =
      family === 4 ? this.#table.lookup4(readIpv4(address, 0)) : this.#table.lookup6(address, 0);
    return value === NO_VALUE ? undefined : this.#sides[value];
  }

  /** Whose the two ends are; undefined = the connection does not cross the mesh. */
  ends(family: Family, original: Tuple, reply: Tuple): Ends | undefined {
    const source = this.of(family, original.source);
    let destination = this.of(family, original.destination);
    // Whoever answers is the true destination: somebody may have translated its address.
    if (destination?.whole !== false) destination = this.of(family, reply.source) ?? destination;
    return crosses(source, destination) ? { source, destination } : undefined;
  }

  #add(text: string, side: Omit<Side, 'prefix' | 'whole'>): void {
    const prefix = parsePrefix(text)!;
    this.#table.insert(prefix, this.#sides.length);
    this.#sides.push({ ...side, prefix: text, whole: prefix.length === 0 });
  }
}

/** From ours, or nobody's, to another connector's, or between two others. */
export function crosses(source: Side | undefined, destination: Side | undefined): boolean {
  if (source?.remote !== true && destination?.remote !== true) return false;
  return !(source?.whole === true && destination?.whole === true);
}
