/**
 * The part of the `/v1` API that operators and the command line use. A token of role admin may do
 * everything, one of role read-only may GET. Where a path or a field names a virtual network, a
 * connector or a token, its id and its name are both taken. Times are ISO 8601.
 *
 *   GET, POST            /v1/connectors                    GET, PATCH, DELETE  /v1/connectors/{id}
 *   POST                 /v1/connectors/{id}/rotate-token  DELETE  /v1/connectors/{id}/replicas/{replica}
 *   GET, POST            /v1/routes                        GET, PATCH, DELETE  /v1/routes/{id}
 *   POST                 /v1/routes/{id}/approve
 *   GET                  /v1/route-questions/get?address=  …/check?prefix=  …/overlaps
 *   GET, POST            /v1/vnets                         DELETE  /v1/vnets/{id}
 *   POST                 /v1/vnets/{id}/default
 *   GET, POST            /v1/tokens                        DELETE  /v1/tokens/{id}
 *   GET                  /v1/edges   /v1/status   /v1/openapi.json   /metrics   /healthz
 */
import { z } from 'zod';
import { prefixTextSchema, secretSchema } from './api.ts';
import {
  commentSchema,
  connectorIdSchema,
  edgeIdSchema,
  endpointSchema,
  hashSchema,
  hostnameSchema,
  MAX_AUTO_APPROVE,
  MAX_REPLICAS_PER_CONNECTOR,
  MAX_ROUTES_PER_CONNECTOR,
  nameSchema,
  prioritySchema,
  publicKeySchema,
  relayIdSchema,
  replicaIdSchema,
  roleSchema,
  routeIdSchema,
  routeSourceSchema,
  tokenIdSchema,
  urlSchema,
  versionSchema,
  vnetIdSchema,
} from './model.ts';

const REFERENCE_FORM = 'a name or an id is 1 to 64 characters';
/** An id or a name. */
export const referenceSchema = z.string().min(1, REFERENCE_FORM).max(64, REFERENCE_FORM);
export const isoTimeSchema = z.iso.datetime();

export const namedVnetSchema = z.strictObject({ id: vnetIdSchema, name: nameSchema });
export const namedConnectorSchema = z.strictObject({ id: connectorIdSchema, name: nameSchema });

/** cloudflared's words. */
export const healthStateSchema = z.enum(['HEALTHY', 'DEGRADED', 'DOWN', 'INACTIVE']);
export const healthViewSchema = z.strictObject({
  state: healthStateSchema,
  /** Null = it never was another. */
  since: isoTimeSchema.nullable(),
  /** A sentence. */
  why: z.string(),
});

export const replicaViewSchema = z.strictObject({
  id: replicaIdSchema,
  publicKey: publicKeySchema,
  relayId: relayIdSchema,
  hostname: hostnameSchema,
  version: versionSchema,
  serving: z.boolean(),
  /** Names of the edges that it is bound to now. */
  boundTo: z.array(nameSchema),
  /** Last change of that; null = it never was bound. */
  since: isoTimeSchema.nullable(),
  created: isoTimeSchema,
});
export type ReplicaView = z.infer<typeof replicaViewSchema>;

export const connectorViewSchema = z.strictObject({
  id: connectorIdSchema,
  name: nameSchema,
  vnet: namedVnetSchema,
  comment: commentSchema,
  mesh: z.strictObject({ ipv4: z.string(), ipv6: z.string() }),
  health: healthViewSchema,
  autoApprove: z.array(z.string()),
  maxReplicas: z.int(),
  replicas: z.array(replicaViewSchema),
  routes: z.strictObject({ total: z.int(), pending: z.int() }),
  created: isoTimeSchema,
});
export type ConnectorView = z.infer<typeof connectorViewSchema>;

export const connectorListSchema = z.strictObject({ connectors: z.array(connectorViewSchema) });
export const connectorQuerySchema = z.strictObject({ vnet: referenceSchema.optional() });

const prefixesSchema = z.array(prefixTextSchema);
export const connectorCreateSchema = z.strictObject({
  name: nameSchema,
  /** The default one unless given. */
  vnet: referenceSchema.optional(),
  routes: prefixesSchema.max(MAX_ROUTES_PER_CONNECTOR).optional(),
  autoApprove: prefixesSchema.max(MAX_AUTO_APPROVE).optional(),
  maxReplicas: z.int().min(1).max(MAX_REPLICAS_PER_CONNECTOR).optional(),
  comment: commentSchema.optional(),
  allowDefault: z.boolean().optional(),
});
export type ConnectorCreate = z.infer<typeof connectorCreateSchema>;

export const connectorCreatedSchema = z.strictObject({
  connector: connectorViewSchema,
  /** For `connector up --token`; shown once. */
  joinToken: z.string(),
});

export const connectorPatchSchema = z.strictObject({
  name: nameSchema.optional(),
  comment: commentSchema.optional(),
  autoApprove: prefixesSchema.max(MAX_AUTO_APPROVE).optional(),
  maxReplicas: z.int().min(1).max(MAX_REPLICAS_PER_CONNECTOR).optional(),
});
export const joinTokenResponseSchema = z.strictObject({ joinToken: z.string() });

/** Serving: approved, and a bound replica carries it. */
export const routeStateSchema = z.enum(['pending', 'approved', 'serving']);
export type RouteState = z.infer<typeof routeStateSchema>;

export const routeViewSchema = z.strictObject({
  id: routeIdSchema,
  prefix: z.string(),
  vnet: namedVnetSchema,
  connector: namedConnectorSchema,
  priority: prioritySchema,
  comment: commentSchema,
  source: routeSourceSchema,
  /** Whether a replica offers it. */
  advertised: z.boolean(),
  approved: z.boolean(),
  serving: z.boolean(),
  state: routeStateSchema,
  /** Of a default route: names of the connectors that send their Internet traffic there now. */
  usedBy: z.array(nameSchema),
  created: isoTimeSchema,
});
export type RouteView = z.infer<typeof routeViewSchema>;
export const routeListSchema = z.strictObject({ routes: z.array(routeViewSchema) });

export const routeQuerySchema = z.strictObject({
  vnet: referenceSchema.optional(),
  connector: referenceSchema.optional(),
  subsetOf: prefixTextSchema.optional(),
  supersetOf: prefixTextSchema.optional(),
  state: z.enum(['advertised', 'pending', 'approved', 'serving']).optional(),
});
export type RouteQuery = z.infer<typeof routeQuerySchema>;

export const routeCreateSchema = z.strictObject({
  prefix: prefixTextSchema,
  connector: referenceSchema,
  /** Only to be sure: must be the connector's. */
  vnet: referenceSchema.optional(),
  priority: prioritySchema.optional(),
  comment: commentSchema.optional(),
  allowDefault: z.boolean().optional(),
});
export const routePatchSchema = z.strictObject({
  priority: prioritySchema.optional(),
  comment: commentSchema.optional(),
});

/** How traffic to a connector goes from the edge's point of view. */
export const pathViewSchema = z.strictObject({
  /** The replica that carries it now; null = none is enrolled. */
  replica: replicaIdSchema.nullable(),
  hostname: z.string().nullable(),
  /** Edges over which it can be relayed now. */
  edges: z.array(nameSchema),
});
export type PathView = z.infer<typeof pathViewSchema>;

export const getAnswerSchema = z.strictObject({
  address: z.string(),
  answers: z.array(
    z.strictObject({
      vnet: namedVnetSchema,
      connector: namedConnectorSchema,
      /** The longest match; a mesh IP's is the host itself. */
      prefix: z.string(),
      /** Null for a mesh IP. */
      route: routeViewSchema.nullable(),
      serving: z.boolean(),
      path: pathViewSchema,
    }),
  ),
});
export type GetAnswer = z.infer<typeof getAnswerSchema>;

export const checkAnswerSchema = z.strictObject({
  prefix: z.string(),
  answers: z.array(
    z.strictObject({
      vnet: namedVnetSchema,
      /** The route that carries all of it unless a longer one does; null = none. */
      reachedBy: routeViewSchema.nullable(),
      /** Every route that has an address in common with it. */
      overlapping: z.array(routeViewSchema),
    }),
  ),
});
export type CheckAnswer = z.infer<typeof checkAnswerSchema>;

export const overlapsAnswerSchema = z.strictObject({
  overlaps: z.array(
    z.strictObject({ outer: routeViewSchema, inner: routeViewSchema, sameVnet: z.boolean() }),
  ),
  /** There are more than are listed. */
  truncated: z.boolean(),
});
export type OverlapsAnswer = z.infer<typeof overlapsAnswerSchema>;

export const vnetViewSchema = z.strictObject({
  id: vnetIdSchema,
  name: nameSchema,
  comment: commentSchema,
  default: z.boolean(),
  connectors: z.int(),
  routes: z.int(),
  created: isoTimeSchema,
});
export type VnetView = z.infer<typeof vnetViewSchema>;
export const vnetListSchema = z.strictObject({ vnets: z.array(vnetViewSchema) });
export const vnetCreateSchema = z.strictObject({
  name: nameSchema,
  comment: commentSchema.optional(),
  default: z.boolean().optional(),
});

export const tokenViewSchema = z.strictObject({
  id: tokenIdSchema,
  name: nameSchema,
  role: roleSchema,
  created: isoTimeSchema,
  expires: isoTimeSchema.nullable(),
});
export type TokenView = z.infer<typeof tokenViewSchema>;
export const tokenListSchema = z.strictObject({ tokens: z.array(tokenViewSchema) });
export const tokenCreateSchema = z.strictObject({
  name: nameSchema,
  role: roleSchema,
  /** Days until it expires; never unless given. */
  days: z.int().min(1).max(3_650).optional(),
});
/** `secret` is the token itself, shown once. */
export const tokenCreatedSchema = z.strictObject({ token: tokenViewSchema, secret: secretSchema });

export const edgeViewSchema = z.strictObject({
  id: edgeIdSchema,
  name: nameSchema,
  publicKey: publicKeySchema,
  relayId: relayIdSchema,
  endpoints: z.array(endpointSchema),
  urls: z.array(urlSchema),
  tlsPin: hashSchema.nullable(),
  /** Of the certificate that is announced; absent = none is. */
  nextTlsPin: hashSchema.nullable().optional(),
  created: isoTimeSchema,
});
export type EdgeView = z.infer<typeof edgeViewSchema>;
/** PEM with its chain; not given = the edge makes its own. Its key stays with the operator. */
export const certificateNextSchema = z.strictObject({
  certificate: z.string().min(1).max(65_536).optional(),
});
/** `force`: also when some gateways are not connected now and may not know it. */
export const certificateSwitchSchema = z.strictObject({ force: z.boolean().optional() });

export const edgeListSchema = z.strictObject({ edges: z.array(edgeViewSchema) });

const countSchema = z.int().min(0);
export const edgeStatusSchema = z.strictObject({
  edge: edgeViewSchema,
  version: versionSchema,
  started: isoTimeSchema,
  time: isoTimeSchema,
  revision: countSchema,
  vnets: countSchema,
  connectors: z.strictObject({
    HEALTHY: countSchema,
    DEGRADED: countSchema,
    DOWN: countSchema,
    INACTIVE: countSchema,
  }),
  replicas: z.strictObject({ total: countSchema, bound: countSchema, streams: countSchema }),
  routes: z.strictObject({ total: countSchema, pending: countSchema }),
  relay: z.strictObject({
    packets: countSchema,
    bytes: countSchema,
    /** Only reasons that occurred. */
    drops: z.record(z.string(), countSchema),
  }),
});
export type EdgeStatus = z.infer<typeof edgeStatusSchema>;
