/** The registry's objects as the API shows them (control/operator-api.ts): names beside ids, ISO times. */
import { meshAddresses } from '../control/mesh.ts';
import type { ApiToken, Connector, Edge, Replica, Route, Vnet } from '../control/model.ts';
import type {
  ConnectorView,
  EdgeView,
  PathView,
  ReplicaView,
  RouteView,
  TokenView,
  VnetView,
} from '../control/operator-api.ts';
import type { RegistryView } from '../control/registry/view.ts';
import { breakoutUsers, type IsBound, routeStatus } from '../control/route-questions.ts';
import type { Presence } from './presence.ts';

/** Of all views: the registry and who is connected. */
export interface ViewSource {
  readonly view: RegistryView;
  readonly presence: Presence;
}

export function isoTime(time: number): string {
  return new Date(time).toISOString();
}

export function namedVnet(view: RegistryView, id: Vnet['id']): Pick<Vnet, 'id' | 'name'> {
  return { id, name: view.vnets.get(id)?.name ?? '' };
}

export function namedConnector(
  view: RegistryView,
  id: Connector['id'],
): Pick<Connector, 'id' | 'name'> {
  return { id, name: view.connectors.get(id)?.name ?? '' };
}

/** An address without the length of its host prefix. */
function host(prefix: string): string {
  return prefix.slice(0, prefix.indexOf('/'));
}

export function connectorView(source: ViewSource, connector: Connector): ConnectorView {
  const { view, presence } = source;
  const { since, ...health } = presence.health(connector);
  const mesh = meshAddresses(view.head, connector.meshIndex);
  const routes = [...view.routesOf(connector.id).values()];
  const replicas = [...view.replicasOf(connector.id).values()].sort(
    (a, b) => a.created - b.created || (a.id < b.id ? -1 : 1),
  );
  return {
    id: connector.id,
    name: connector.name,
    vnet: namedVnet(view, connector.vnet),
    comment: connector.comment,
    mesh: { ipv4: host(mesh.ipv4), ipv6: host(mesh.ipv6) },
    health: { ...health, since: since === null ? null : isoTime(since) },
    autoApprove: connector.autoApprove,
    maxReplicas: connector.maxReplicas,
    replicas: replicas.map((replica) => replicaView(source, replica)),
    routes: {
      total: routes.length,
      pending: routes.filter(({ approved }) => !approved).length,
    },
    created: isoTime(connector.created),
  };
}

function replicaView({ view, presence }: ViewSource, replica: Replica): ReplicaView {
  const { boundTo, since } = presence.of(replica.id);
  return {
    id: replica.id,
    publicKey: replica.publicKey,
    relayId: replica.relayId,
    hostname: replica.hostname,
    version: replica.version,
    serving: view.servingReplica(replica.connector)?.id === replica.id,
    boundTo,
    since: since === null ? null : isoTime(since),
    created: isoTime(replica.created),
  };
}

/** For questions whose answer depends on who is connected. */
export function isBoundBy({ presence }: ViewSource): IsBound {
  return (replica) => presence.isBound(replica);
}

export function routeView(source: ViewSource, route: Route): RouteView {
  const { view } = source;
  return {
    id: route.id,
    prefix: route.prefix,
    vnet: namedVnet(view, route.vnet),
    connector: namedConnector(view, route.connector),
    priority: route.priority,
    comment: route.comment,
    source: route.source,
    ...routeStatus(view, route, isBoundBy(source)),
    usedBy: breakoutUsers(view, route),
    created: isoTime(route.created),
  };
}

export function pathView({ view, presence }: ViewSource, connector: Connector['id']): PathView {
  const replica = view.servingReplica(connector);
  return {
    replica: replica?.id ?? null,
    hostname: replica?.hostname ?? null,
    edges: replica === undefined ? [] : presence.of(replica.id).boundTo,
  };
}

export function vnetView({ view }: ViewSource, vnet: Vnet): VnetView {
  const connectors = view.connectorsIn(vnet.id);
  let routes = 0;
  for (const { id } of connectors.values()) routes += view.routesOf(id).size;
  return {
    id: vnet.id,
    name: vnet.name,
    comment: vnet.comment,
    default: view.head.defaultVnet === vnet.id,
    connectors: connectors.size,
    routes,
    created: isoTime(vnet.created),
  };
}

export function tokenView(token: ApiToken): TokenView {
  return {
    id: token.id,
    name: token.name,
    role: token.role,
    created: isoTime(token.created),
    expires: token.expires === null ? null : isoTime(token.expires),
  };
}

export function edgeView({ created, ...edge }: Edge): EdgeView {
  return { ...edge, created: isoTime(created) };
}
