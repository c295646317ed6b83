/**
 * The netmap: what one replica needs to know to run (DESIGN § 4), and the deltas that keep it current.
 *
 * The receiver validates both with the schemas here. A delta says what is so now for what it names:
 * applying one twice changes nothing. Deltas apply in order of revision; the stream that carries them
 * keeps the order, and resumes from the last revision that arrived. A delta for a whole virtual network
 * may name replicas of the receiver's own connector: these are no peers of it, and it passes them over.
 *
 * Of a later edge they may say more: what this build does not know, it passes over. So a later edge may
 * add a field only if whoever does not know it does no harm; what would, takes another `NETMAP_FORMAT`.
 * In policies nothing is passed over (later-policy.ts).
 */
import { z } from 'zod';
import { setAsidePolicy } from './later-policy.ts';
import {
  cidrSchema,
  commentSchema,
  connectorIdSchema,
  edgeSchema,
  MAX_CONNECTORS,
  MAX_EDGES,
  MAX_REPLICAS,
  MAX_ROUTES_PER_CONNECTOR,
  nameSchema,
  prioritySchema,
  publicKeySchema,
  relayIdSchema,
  replicaIdSchema,
  routeIdSchema,
  routeSourceSchema,
  vnetIdSchema,
} from './model.ts';
import { policySchema } from './policy/policy.ts';

/** Version of the format; a receiver refuses a later one. */
export const NETMAP_FORMAT = 1;

export const revisionSchema = z.int().min(0);

/** Mesh IPs of a connector, as host prefixes: `100.96.0.1/32`, `fd…::1/128`. */
export const meshAddressesSchema = z.object({ ipv4: cidrSchema, ipv6: cidrSchema });
export type MeshAddresses = z.infer<typeof meshAddressesSchema>;

export const ownRouteSchema = z.object({
  id: routeIdSchema,
  prefix: cidrSchema,
  priority: prioritySchema,
  comment: commentSchema,
  source: routeSourceSchema,
  /** False: waits for the operator. */
  approved: z.boolean(),
});

/** The receiving replica itself. */
export const netmapSelfSchema = z.object({
  replica: replicaIdSchema,
  connector: connectorIdSchema,
  name: nameSchema,
  vnet: vnetIdSchema,
  vnetName: nameSchema,
  relayId: relayIdSchema,
  mesh: meshAddressesSchema,
  /** The ranges that all mesh IPs are from. */
  meshRanges: meshAddressesSchema,
  /** Whether this replica carries the connector's mesh IPs and prefixes now. */
  serving: z.boolean(),
  /** Of the whole connector, in order of the prefixes' text. */
  routes: z.array(ownRouteSchema).max(MAX_ROUTES_PER_CONNECTOR),
});
export type NetmapSelf = z.infer<typeof netmapSelfSchema>;

export const peerPrefixSchema = z.object({ prefix: cidrSchema, priority: prioritySchema });
export type PeerPrefix = z.infer<typeof peerPrefixSchema>;

/** A replica of another connector of the same virtual network. */
export const netmapPeerSchema = z.object({
  replica: replicaIdSchema,
  connector: connectorIdSchema,
  name: nameSchema,
  publicKey: publicKeySchema,
  relayId: relayIdSchema,
  mesh: meshAddressesSchema,
  /** Whether it carries the connector's mesh IPs and prefixes now: at most one of its replicas does. */
  serving: z.boolean(),
  /** Approved prefixes in order of their text; empty when not serving. */
  prefixes: z.array(peerPrefixSchema).max(MAX_ROUTES_PER_CONNECTOR),
});
export type NetmapPeer = z.infer<typeof netmapPeerSchema>;

/** A connector without a replica: nobody is reached by it, and the policy knows whose its addresses are. */
export const reservedSchema = z.object({
  connector: connectorIdSchema,
  /** Mesh IPs and approved prefixes; in a delta none = it is no more, or not without a replica. */
  prefixes: z.array(cidrSchema).max(MAX_ROUTES_PER_CONNECTOR + 2),
});
export type Reserved = z.infer<typeof reservedSchema>;

export const netmapEdgeSchema = edgeSchema.omit({ created: true }).strip();
export type NetmapEdge = z.infer<typeof netmapEdgeSchema>;

export const netmapSchema = z.object({
  format: z.literal(NETMAP_FORMAT),
  revision: revisionSchema,
  self: netmapSelfSchema,
  /** In order of replica id. */
  peers: z.array(netmapPeerSchema).max(MAX_REPLICAS),
  /** In order of id. */
  edges: z.array(netmapEdgeSchema).max(MAX_EDGES),
  /** Of the virtual network; undefined = everything is allowed. */
  policy: policySchema.optional(),
  /** With a policy only, in order of connector id; absent = there are none. */
  reserved: z.array(reservedSchema).max(MAX_CONNECTORS).optional(),
  /** A newer one, of a later build, that is not understood; `policy` is the one before it, if any. */
  laterPolicy: z.unknown().optional(),
});
export type Netmap = z.infer<typeof netmapSchema>;

/** As a replica takes it, from its edge or from its disk. */
export const receivedNetmapSchema = z.preprocess(setAsidePolicy, netmapSchema);

/** A change of the prefixes of a peer that is serving and goes on to. */
export const peerPatchSchema = z.object({
  replica: replicaIdSchema,
  connector: connectorIdSchema,
  /** Added, or given another priority. */
  set: z.array(peerPrefixSchema).max(MAX_ROUTES_PER_CONNECTOR),
  remove: z.array(cidrSchema).max(MAX_ROUTES_PER_CONNECTOR),
});
export type PeerPatch = z.infer<typeof peerPatchSchema>;

export const netmapDeltaSchema = z.object({
  format: z.literal(NETMAP_FORMAT),
  /** The netmap's revision after it. */
  revision: revisionSchema,
  self: netmapSelfSchema.optional(),
  /** Peers that are new or changed, whole. */
  upsert: z.array(netmapPeerSchema).max(MAX_REPLICAS).optional(),
  patch: z.array(peerPatchSchema).max(MAX_REPLICAS).optional(),
  remove: z.array(replicaIdSchema).max(MAX_REPLICAS).optional(),
  /** All edges, when one changed. */
  edges: z.array(netmapEdgeSchema).max(MAX_EDGES).optional(),
  /** The whole policy, when it changed; null = there is none any more. */
  policy: policySchema.nullable().optional(),
  /** `whole`: all there are; otherwise those that changed. */
  reserved: z
    .object({ whole: z.boolean(), holders: z.array(reservedSchema).max(MAX_CONNECTORS) })
    .optional(),
  laterPolicy: z.unknown().optional(),
});
export type NetmapDelta = z.infer<typeof netmapDeltaSchema>;
export const receivedDeltaSchema = z.preprocess(setAsidePolicy, netmapDeltaSchema);
