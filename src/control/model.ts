/**
 * What the registry holds: virtual networks, connectors, replicas, routes, API tokens and edges, with
 * a bound on every string, number and list (DESIGN § 7). The schemas validate what is read from the
 * store; they are also what the API's schemas are built from.
 *
 * Times are milliseconds since the Unix epoch. Secrets appear only as SHA-256 hashes.
 */
import { z } from 'zod';
import { keyFromBase64 } from '../keys.ts';
import { formatPrefix, parsePrefixStrict } from '../routing/prefix.ts';
import { BREAKOUT_FALLBACKS, MAX_BREAKOUTS } from './breakout.ts';

export const MAX_VNETS = 1_024;
export const MAX_CONNECTORS = 65_536;
export const MAX_REPLICAS = 65_536;
export const MAX_ROUTES = 131_072;
export const MAX_TOKENS = 1_024;
export const MAX_EDGES = 16;
export const MAX_ROUTES_PER_CONNECTOR = 2_048;
export const MAX_REPLICAS_PER_CONNECTOR = 25;
export const MAX_AUTO_APPROVE = 64;
export const MAX_ENDPOINTS = 8;
export const MAX_EPOCHS = 64;
export const MAX_URLS = 4;
/** Largest relay id: 24 bits, never 0. */
export const MAX_RELAY_ID = 0xff_ffff;
/** Versions of a virtual network's policy that are kept. */
export const MAX_POLICY_VERSIONS = 20;
/** Characters of a policy's document: with its quotes escaped it fits a request. */
export const MAX_POLICY_LENGTH = 180_000;
export const DEFAULT_PRIORITY = 100;
export const MAX_PRIORITY = 65_535;

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const uuid = z.string().regex(UUID, 'not a UUID in lower case');

export const vnetIdSchema = uuid.brand<'VnetId'>();
export const connectorIdSchema = uuid.brand<'ConnectorId'>();
export const replicaIdSchema = uuid.brand<'ReplicaId'>();
export const routeIdSchema = uuid.brand<'RouteId'>();
export const tokenIdSchema = uuid.brand<'TokenId'>();
export const edgeIdSchema = uuid.brand<'EdgeId'>();
export type VnetId = z.infer<typeof vnetIdSchema>;
export type ConnectorId = z.infer<typeof connectorIdSchema>;
export type ReplicaId = z.infer<typeof replicaIdSchema>;
export type RouteId = z.infer<typeof routeIdSchema>;
export type TokenId = z.infer<typeof tokenIdSchema>;
export type EdgeId = z.infer<typeof edgeIdSchema>;

/** As a DNS label (RFC 1123 § 2.1), lower case. */
export const nameSchema = z
  .string()
  .regex(
    /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/,
    'a name is 1 to 63 characters of a-z, 0-9 and "-", and neither begins nor ends with "-"',
  );

/** One line for people. */
export const commentSchema = z
  .string()
  .max(200, 'a comment is at most 200 characters')
  .regex(/^\P{Cc}*$/u, 'a comment is one line without control characters');

/** A prefix in its canonical text: host bits zero, always with a length. */
export const cidrSchema = z
  .string()
  .max(49)
  .refine((text) => {
    const parsed = parsePrefixStrict(text);
    return parsed !== undefined && !parsed.hostBits && formatPrefix(parsed.prefix) === text;
  }, 'not a prefix in canonical form');

/** A WireGuard public key, 44 characters of base64. */
export const publicKeySchema = z
  .string()
  .length(44)
  .refine((text) => keyFromBase64(text) !== undefined, 'not a key of 44 characters of base64');

/** SHA-256 in hexadecimal digits. */
export const hashSchema = z.string().regex(/^[0-9a-f]{64}$/, 'not 64 hexadecimal digits');

export const timeSchema = z.int().min(0);
export const epochIdSchema = z.string().regex(/^[A-Za-z0-9_-]{1,32}$/, 'not an epoch');
export const relayIdSchema = z.int().min(1).max(MAX_RELAY_ID);
export const prioritySchema = z.int().min(0).max(MAX_PRIORITY);

/** `HOST:PORT`, `ADDRESS:PORT` or `[ADDRESS]:PORT`. */
export const endpointSchema = z
  .string()
  .max(261)
  .regex(
    /^(\[[0-9a-fA-F:.]{2,45}\]|[A-Za-z0-9]([A-Za-z0-9.-]{0,252}[A-Za-z0-9])?):[1-9][0-9]{0,4}$/,
    'not HOST:PORT',
  )
  .refine((text) => Number(text.slice(text.lastIndexOf(':') + 1)) <= 65_535, 'not a port');

export const urlSchema = z
  .string()
  .max(255)
  .regex(/^https:\/\/[^\s/?#@]+$/, 'not https://HOST[:PORT]');

export const vnetSchema = z.strictObject({
  id: vnetIdSchema,
  name: nameSchema,
  comment: commentSchema,
  created: timeSchema,
});
export type Vnet = z.infer<typeof vnetSchema>;

export const connectorSchema = z.strictObject({
  id: connectorIdSchema,
  name: nameSchema,
  /** Never changes. */
  vnet: vnetIdSchema,
  /** Place in the mesh ranges, ≥ 1: both mesh IPs follow from it, see `mesh.ts`. */
  meshIndex: z.int().min(1).max(0xffff_ffff),
  /** Advertised prefixes inside one of these need no approval. */
  autoApprove: z.array(cidrSchema).max(MAX_AUTO_APPROVE),
  maxReplicas: z.int().min(1).max(MAX_REPLICAS_PER_CONNECTOR),
  joinSecretHash: hashSchema,
  /** Counts rotations; a join token says which secret it carries. */
  joinSecretVersion: z.int().min(1).max(0xffff_ffff),
  comment: commentSchema,
  created: timeSchema,
});
export type Connector = z.infer<typeof connectorSchema>;

const HOSTNAME_FORM = 'a host name is at most 253 characters, without spaces';
export const hostnameSchema = z
  .string()
  .max(253, HOSTNAME_FORM)
  .regex(/^[\x21-\x7e]*$/, HOSTNAME_FORM);
export const versionSchema = z
  .string()
  .max(64)
  .regex(/^[\x21-\x7e]*$/, 'not a version');

/** A gateway's choice of who carries its hosts' Internet traffic (breakout.ts). */
export const breakoutWishSchema = z.strictObject({
  connectors: z.array(z.union([connectorIdSchema, nameSchema])).max(MAX_BREAKOUTS),
  families: z.array(z.union([z.literal(4), z.literal(6)])).max(2),
  fallback: z.enum(BREAKOUT_FALLBACKS),
});

export const replicaSchema = z.strictObject({
  id: replicaIdSchema,
  connector: connectorIdSchema,
  vnet: vnetIdSchema,
  publicKey: publicKeySchema,
  relayId: relayIdSchema,
  hostname: hostnameSchema,
  version: versionSchema,
  /** Of the secret with which the replica speaks to the API. */
  credentialHash: hashSchema,
  /** As it said last; absent = none. */
  breakout: breakoutWishSchema.optional(),
  created: timeSchema,
});
export type Replica = z.infer<typeof replicaSchema>;

export const routeSourceSchema = z.enum(['operator', 'advertised']);

export const routeSchema = z.strictObject({
  id: routeIdSchema,
  vnet: vnetIdSchema,
  connector: connectorIdSchema,
  prefix: cidrSchema,
  /** Lower is preferred. */
  priority: prioritySchema,
  comment: commentSchema,
  source: routeSourceSchema,
  /** Replicas that advertise it; empty for the operator's. */
  advertisedBy: z.array(replicaIdSchema).max(MAX_REPLICAS_PER_CONNECTOR),
  approved: z.boolean(),
  created: timeSchema,
});
export type Route = z.infer<typeof routeSchema>;

/** A version of a virtual network's policy; the highest is in force. */
export const policyRecordSchema = z.strictObject({
  vnet: vnetIdSchema,
  version: z.int().min(1),
  /** As the operator wrote it. */
  text: z.string().max(MAX_POLICY_LENGTH),
  /** Who the names in it were when it was written: a connector may be renamed since, or be gone. */
  connectors: z.record(nameSchema, connectorIdSchema),
  comment: commentSchema,
  /** Name of the token that set it, or `local`. */
  author: z.string().max(64),
  created: timeSchema,
});
export type PolicyRecord = z.infer<typeof policyRecordSchema>;

/** Which replica carries a connector's mesh IPs and prefixes; without one, the oldest does. */
export const servingSchema = z.strictObject({
  connector: connectorIdSchema,
  vnet: vnetIdSchema,
  replica: replicaIdSchema,
  since: timeSchema,
});
export type Serving = z.infer<typeof servingSchema>;

export const roleSchema = z.enum(['admin', 'read-only']);
export type Role = z.infer<typeof roleSchema>;

export const tokenSchema = z.strictObject({
  id: tokenIdSchema,
  name: nameSchema,
  role: roleSchema,
  hash: hashSchema,
  created: timeSchema,
  /** Null = never. */
  expires: timeSchema.nullable(),
});
export type ApiToken = z.infer<typeof tokenSchema>;

export const edgeSchema = z.strictObject({
  id: edgeIdSchema,
  name: nameSchema,
  publicKey: publicKeySchema,
  relayId: relayIdSchema,
  /** Where its relay is reached by UDP. */
  endpoints: z.array(endpointSchema).min(1).max(MAX_ENDPOINTS),
  /** Where its API is reached. */
  urls: z.array(urlSchema).max(MAX_URLS),
  /** SHA-256 of the API certificate's public key (SPKI); null = an authority vouches for it. */
  tlsPin: hashSchema.nullable(),
  /** The same of a certificate that is announced and not in use yet; absent = none is. */
  nextTlsPin: hashSchema.nullable().optional(),
  created: timeSchema,
});
export type Edge = z.infer<typeof edgeSchema>;

/** An opening of the store, from its first change on: revisions after `after` are of it. */
export const epochSchema = z.strictObject({ id: epochIdSchema, after: z.int().min(0) });
export type Epoch = z.infer<typeof epochSchema>;

/** The registry's first entry; every change rewrites it, so that changes are one sequence. */
export const headSchema = z.strictObject({
  /** Version of this model. */
  schema: z.literal(1),
  defaultVnet: vnetIdSchema,
  meshIpv4: cidrSchema,
  meshIpv6: cidrSchema,
  /** Where the search for a free number goes on, so that one just freed is not given out again. */
  nextMeshIndex: z.int().min(1),
  nextRelayId: relayIdSchema,
  /** Which process's first change came after which revision, oldest first: netmap-id.ts. */
  epochs: z.array(epochSchema).max(MAX_EPOCHS).default([]),
});
export type Head = z.infer<typeof headSchema>;
