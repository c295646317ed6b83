/** What the checks of the host need to know of a gateway that does not run: what its files say. */
import type { EdgeId } from '../../control/model.ts';
import { parseAddress } from '../../routing/address.ts';
import { parsePrefix } from '../../routing/prefix.ts';
import type { PeerEndpoint } from '../../wireguard/configuration.ts';
import { formatEndpoint } from '../endpoint-text.ts';
import { EdgeEndpoints } from '../mesh/edge-endpoints.ts';
import type { CachedNetmap } from '../mesh/netmap-cache.ts';
import type { ExaminedGateway } from './examination.ts';
import type { EdgeAddress, GatewayScope } from './scope.ts';
import type { KnownIdentity } from './state-check.ts';

/** @param cached the netmap that it will start with */
export async function scopeStopped(
  { interfaceName, mtu, diagnosis }: ExaminedGateway,
  identity: KnownIdentity | undefined,
  cached: CachedNetmap | undefined,
): Promise<GatewayScope> {
  const netmap = cached?.netmap;
  const prefixes = (texts: readonly string[]) =>
    texts.flatMap((text) => parsePrefix(text) ?? []).filter(({ length }) => length > 0);
  const approved = netmap?.self.routes.filter((route) => route.approved) ?? [];
  const ranges = netmap?.self.meshRanges;
  return {
    interfaceName,
    running: false,
    served: prefixes(approved.map(({ prefix }) => prefix)),
    remote: prefixes([
      ...(ranges === undefined ? [] : [ranges.ipv4, ranges.ipv6]),
      ...(netmap?.peers.flatMap((peer) => peer.prefixes.map(({ prefix }) => prefix)) ?? []),
    ]),
    ...(await findEdges(identity, cached)),
    mesh: Object.values(netmap?.self.mesh ?? {}).flatMap((text) => {
      return parseAddress(text.slice(0, text.indexOf('/'))) ?? [];
    }),
    answers: diagnosis,
    mtu,
  };
}

/** Where the edges are: as the last netmap says; without one, where this host was enrolled. */
async function findEdges(
  identity: KnownIdentity | undefined,
  cached: CachedNetmap | undefined,
): Promise<Pick<GatewayScope, 'relays' | 'apis'>> {
  const endpoints = new EdgeEndpoints(cached?.resolved);
  const enrolled = (identity?.urls ?? []).map((url) => {
    const name = new URL(url).hostname;
    return { id: name as EdgeId, name, endpoints: [], urls: [url] };
  });
  const edges = cached?.netmap.edges ?? enrolled;
  await endpoints.update(edges);
  const named = (name: string, at: readonly PeerEndpoint[]): EdgeAddress[] =>
    at.map((endpoint) => ({ name, endpoint: formatEndpoint(endpoint) }));
  return {
    relays: edges.flatMap(({ id, name }) => named(name, endpoints.of(id).all)),
    apis: edges.flatMap(({ id, name }) => named(name, endpoints.apisOf(id))),
  };
}
