/**
 * The UDP addresses of the edges: host names resolved, what they were last kept for when no name
 * server answers, and of several addresses the first that this host has a route to.
 */
import { lookup } from 'node:dns/promises';
import type { NetmapEdge } from '../../control/netmap.ts';
import { formatAddress } from '../../routing/address.ts';
import { ipJson } from '../../tun/command.ts';
import type { PeerEndpoint } from '../../wireguard/configuration.ts';
import { endpointOf, formatEndpoint, parseEndpoint, splitHostAndPort } from '../endpoint-text.ts';
import { interfaceIndexOf } from '../uapi/server.ts';
import type { ResolvedEdge } from './netmap-translation.ts';

const LOOKUP_TIMEOUT_MS = 3_000;

export class EdgeEndpoints {
  /** `HOST:PORT` → `ADDRESS:PORT`, as last resolved. */
  readonly #resolved = new Map<string, string>();
  readonly #edges = new Map<string, ResolvedEdge>();

  constructor(resolved: Readonly<Record<string, string>> = {}) {
    for (const [name, address] of Object.entries(resolved)) this.#resolved.set(name, address);
  }

  /** What is worth keeping on disk. */
  get resolved(): Record<string, string> {
    return Object.fromEntries(this.#resolved);
  }

  of(id: string): ResolvedEdge {
    return this.#edges.get(id) ?? { endpoint: undefined, all: [] };
  }

  /** Looks the edges' endpoints up anew; names that cannot be looked up keep their last address. */
  async update(edges: readonly NetmapEdge[]): Promise<void> {
    const known = new Set(edges.flatMap(({ endpoints }) => endpoints));
    for (const name of this.#resolved.keys()) if (!known.has(name)) this.#resolved.delete(name);
    this.#edges.clear();
    await Promise.all(
      edges.map(async ({ id, endpoints }) => {
        const found = await Promise.all(endpoints.map((text) => this.#resolve(text)));
        const all = found.filter((endpoint) => endpoint !== undefined);
        const endpoint = all.length > 1 ? await firstReachable(all) : all[0];
        this.#edges.set(id, { endpoint, all });
      }),
    );
  }

  async #resolve(text: string): Promise<PeerEndpoint | undefined> {
    const literal = parseEndpoint(text, interfaceIndexOf);
    if (literal !== undefined) return literal;
    const { host, port } = splitHostAndPort(text)!;
    const address = await lookUp(host);
    const fresh = address === undefined ? undefined : endpointOf(address, port, interfaceIndexOf);
    if (fresh !== undefined) {
      this.#resolved.set(text, formatEndpoint(fresh));
      return fresh;
    }
    return parseEndpoint(this.#resolved.get(text) ?? '', interfaceIndexOf);
  }
}

async function lookUp(host: string): Promise<string | undefined> {
  const { promise, resolve } = Promise.withResolvers<undefined>();
  const timer = setTimeout(resolve, LOOKUP_TIMEOUT_MS, undefined);
  try {
    const found = lookup(host, { order: 'verbatim' }).then(({ address }) => address);
    return await Promise.race([found, promise]);
  } catch {
    return undefined;
  } finally {
    clearTimeout(timer);
  }
}

/** The first one with a route; the first one if none has. */
async function firstReachable(endpoints: readonly PeerEndpoint[]): Promise<PeerEndpoint> {
  for (const endpoint of endpoints) {
    const route = (await ipJson(['route', 'get', formatAddress(endpoint.address)]))[0];
    if (route !== undefined && route.type !== 'unreachable') return endpoint;
  }
  return endpoints[0]!;
}
