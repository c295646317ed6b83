/** The netmap of a replica from the registry, and its parts. */
import { meshAddresses } from './mesh.ts';
import type { Connector, Replica, ReplicaId, VnetId } from './model.ts';
import {
  NETMAP_FORMAT,
  type Netmap,
  type NetmapEdge,
  type NetmapPeer,
  type NetmapSelf,
  type Reserved,
} from './netmap.ts';
import { byConnector, byPrefix, byReplica, reservedPart } from './netmap-order.ts';
import { policyInForce } from './registry/policy-in-force.ts';
import type { RegistryView } from './registry/view.ts';

/** Undefined if there is no such replica. */
export function computeNetmap(view: RegistryView, id: ReplicaId): Netmap | undefined {
  const replica = view.replicas.get(id);
  if (replica === undefined) return undefined;
  const peers: NetmapPeer[] = [];
  for (const connector of view.connectorsIn(replica.vnet).values()) {
    if (connector.id === replica.connector) continue;
    for (const peer of view.replicasOf(connector.id).values()) peers.push(peerOf(view, peer));
  }
  const policy = policyInForce(view, replica.vnet);
  return {
    format: NETMAP_FORMAT,
    revision: view.revision,
    self: selfOf(view, replica),
    peers: peers.sort(byReplica),
    edges: edgesOf(view),
    ...(policy && { policy, ...reservedPart(reservedIn(view, replica.vnet)) }),
  };
}

/** Connectors of a virtual network that nobody has joined as. */
export function reservedIn(view: RegistryView, vnet: VnetId): Reserved[] {
  return [...view.connectorsIn(vnet).values()]
    .filter(({ id }) => view.replicasOf(id).size === 0)
    .map((connector) => reservedOf(view, connector))
    .sort(byConnector);
}

export function reservedOf(view: RegistryView, { id, meshIndex }: Connector): Reserved {
  const mesh = meshAddresses(view.head, meshIndex);
  const approved = [...view.routesOf(id).values()].filter((route) => route.approved);
  return {
    connector: id,
    prefixes: [mesh.ipv4, mesh.ipv6, ...approved.map(({ prefix }) => prefix).sort()],
  };
}

/** The replica as the others see it. */
export function peerOf(view: RegistryView, replica: Replica): NetmapPeer {
  const connector = view.connectors.get(replica.connector)!;
  const serving = view.servingReplica(connector.id)?.id === replica.id;
  const routes = serving ? [...view.routesOf(connector.id).values()] : [];
  return {
    replica: replica.id,
    connector: connector.id,
    name: connector.name,
    publicKey: replica.publicKey,
    relayId: replica.relayId,
    mesh: meshAddresses(view.head, connector.meshIndex),
    serving,
    prefixes: routes
      .filter(({ approved }) => approved)
      .map(({ prefix, priority }) => ({ prefix, priority }))
      .sort(byPrefix),
  };
}

/** The replica as it sees itself. */
export function selfOf(view: RegistryView, replica: Replica): NetmapSelf {
  const connector = view.connectors.get(replica.connector)!;
  const { meshIpv4, meshIpv6 } = view.head;
  return {
    replica: replica.id,
    connector: connector.id,
    name: connector.name,
    vnet: replica.vnet,
    vnetName: view.vnets.get(replica.vnet)!.name,
    relayId: replica.relayId,
    mesh: meshAddresses(view.head, connector.meshIndex),
    meshRanges: { ipv4: meshIpv4, ipv6: meshIpv6 },
    serving: view.servingReplica(connector.id)?.id === replica.id,
    routes: [...view.routesOf(connector.id).values()]
      .map(({ id, prefix, priority, comment, source, approved }) => ({
        ...{ id, prefix, priority, comment, source, approved },
      }))
      .sort(byPrefix),
  };
}

export function edgesOf(view: RegistryView): NetmapEdge[] {
  return [...view.edges.values()]
    .map(({ created: _, ...edge }) => edge)
    .sort((a, b) => (a.id < b.id ? -1 : 1));
}
