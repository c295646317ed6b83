/**
 * The UDP addresses of the edges: host names resolved, what they were last kept for when no name
 * server answers, and of an edge's addresses the one in use (address-choice.ts).
 */
import { lookup } from 'node:dns/promises';
import { MAX_ENDPOINTS } from '../../control/model.ts';
import type { NetmapEdge } from '../../control/netmap.ts';
import { formatAddress } from '../../routing/address.ts';
import { ipJson } from '../../tun/command.ts';
import type { PeerEndpoint } from '../../wireguard/configuration.ts';
import { endpointOf, formatEndpoint, parseEndpoint, splitHostAndPort } from '../endpoint-text.ts';
import { interfaceIndexOf } from '../uapi/server.ts';
import { AddressChoice } from './address-choice.ts';
import type { ResolvedEdge } from './netmap-translation.ts';

const LOOKUP_TIMEOUT_MS = 3_000;
/** Between the addresses of a name on disk. */
const SEPARATOR = ' ';

/** Where an edge says that it is. */
export type EdgeNames = Pick<NetmapEdge, 'id' | 'endpoints' | 'urls'>;

/** What the world says of names and routes. */
export interface AddressSource {
  /** Addresses of a host name; none = nobody knows. */
  readonly lookUp: (host: string) => Promise<readonly string[]>;
  readonly hasRoute: (endpoint: PeerEndpoint) => Promise<boolean>;
}

export class EdgeEndpoints {
  /** `HOST:PORT` → `ADDRESS:PORT ADDRESS:PORT …`, as last resolved. */
  readonly #resolved = new Map<string, string>();
  /** By edge id: all addresses by their text. */
  readonly #edges = new Map<string, ReadonlyMap<string, PeerEndpoint>>();
  /** Where their APIs are, by edge id. */
  readonly #apis = new Map<string, readonly PeerEndpoint[]>();
  readonly #choices = new Map<string, AddressChoice>();
  readonly #source: AddressSource;

  constructor(resolved: Readonly<Record<string, string>> = {}, source: AddressSource = SYSTEM) {
    for (const [name, addresses] of Object.entries(resolved)) this.#resolved.set(name, addresses);
    this.#source = source;
  }

  /** What is worth keeping on disk: of each name the address in use first. */
  get resolved(): Record<string, string> {
    const inUse = new Set([...this.#choices.values()].map(({ current }) => current));
    return Object.fromEntries(
      [...this.#resolved].map(([name, text]) => {
        const addresses = text.split(SEPARATOR);
        const first = addresses.filter((address) => inUse.has(address));
        const rest = addresses.filter((address) => !inUse.has(address));
        return [name, [...first, ...rest].join(SEPARATOR)];
      }),
    );
  }

  of(id: string): ResolvedEdge {
    const addresses = this.#edges.get(id);
    const { current } = this.choiceOf(id);
    return {
      endpoint: current === undefined ? undefined : addresses?.get(current),
      all: [...(addresses?.values() ?? [])],
    };
  }

  /** All addresses that an edge is asked at: its relay's and its API's, which may be another's. */
  addressesOf(id: string): Uint8Array[] {
    const all = [...(this.#edges.get(id)?.values() ?? []), ...this.apisOf(id)];
    return all.map(({ address }) => address);
  }

  /** Where its API is asked. */
  apisOf(id: string): readonly PeerEndpoint[] {
    return this.#apis.get(id) ?? [];
  }

  choiceOf(id: string): AddressChoice {
    let choice = this.#choices.get(id);
    if (choice === undefined) {
      choice = new AddressChoice();
      this.#choices.set(id, choice);
    }
    return choice;
  }

  /** Looks the edges' endpoints up anew; names that cannot be looked up keep their last addresses. */
  async update(edges: readonly EdgeNames[]): Promise<void> {
    const names = new Set(
      edges.flatMap(({ endpoints, urls }) => [...endpoints, ...urls.map(hostOf)]),
    );
    for (const name of this.#resolved.keys()) if (!names.has(name)) this.#resolved.delete(name);
    const known = new Set<string>(edges.map(({ id }) => id));
    for (const id of this.#choices.keys()) if (!known.has(id)) this.#choices.delete(id);
    for (const id of this.#edges.keys()) if (!known.has(id)) this.#edges.delete(id);
    for (const id of this.#apis.keys()) if (!known.has(id)) this.#apis.delete(id);
    await Promise.all([
      ...edges.map(async ({ id, urls }) => {
        this.#apis.set(
          id,
          (await Promise.all(urls.map((url) => this.#resolve(hostOf(url))))).flat(),
        );
      }),
      ...edges.map(async ({ id, endpoints }) => {
        const found = (await Promise.all(endpoints.map((text) => this.#resolve(text)))).flat();
        const all = new Map(
          found.slice(0, MAX_ENDPOINTS).map((endpoint) => [formatEndpoint(endpoint), endpoint]),
        );
        const texts = [...all.keys()];
        this.#edges.set(id, all);
        this.choiceOf(id).setAddresses(texts, await this.#reachable(all));
      }),
    ]);
  }

  async #resolve(text: string): Promise<PeerEndpoint[]> {
    const literal = parseEndpoint(text, interfaceIndexOf);
    if (literal !== undefined) return [literal];
    const { host, port } = splitHostAndPort(text)!;
    const addresses = (await this.#source.lookUp(host)).slice(0, MAX_ENDPOINTS);
    const fresh = addresses
      .map((address) => endpointOf(address, port, interfaceIndexOf))
      .filter((endpoint) => endpoint !== undefined);
    if (fresh.length > 0) {
      this.#resolved.set(text, fresh.map(formatEndpoint).join(SEPARATOR));
      return fresh;
    }
    return (this.#resolved.get(text) ?? '')
      .split(SEPARATOR)
      .map((address) => parseEndpoint(address, interfaceIndexOf))
      .filter((endpoint) => endpoint !== undefined);
  }

  /** A single address is taken as it is. */
  async #reachable(all: ReadonlyMap<string, PeerEndpoint>): Promise<string[]> {
    if (all.size <= 1) return [...all.keys()];
    const found = await Promise.all(
      [...all].map(async ([text, endpoint]) => {
        return (await this.#source.hasRoute(endpoint)) ? [text] : [];
      }),
    );
    return found.flat();
  }
}

/** `HOST:PORT` of a URL that the schemas let through. */
function hostOf(url: string): string {
  const { hostname, port } = new URL(url);
  return `${hostname}:${port || '443'}`;
}

const SYSTEM: AddressSource = { lookUp, hasRoute };

async function lookUp(host: string): Promise<string[]> {
  const { promise, resolve } = Promise.withResolvers<string[]>();
  const timer = setTimeout(resolve, LOOKUP_TIMEOUT_MS, []);
  try {
    const found = lookup(host, { order: 'verbatim', all: true });
    return await Promise.race([found.then((all) => all.map(({ address }) => address)), promise]);
  } catch {
    return [];
  } finally {
    clearTimeout(timer);
  }
}

async function hasRoute({ address }: PeerEndpoint): Promise<boolean> {
  const route = (await ipJson(['route', 'get', formatAddress(address)]))[0];
  return route !== undefined && route.type !== 'unreachable';
}
