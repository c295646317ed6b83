/**
 * The part of the `/v1` API that a replica speaks: enrolment, the netmap stream, advertised prefixes,
 * and what every error looks like. Server and client validate with the schemas here; what operators
 * use is in `operator-api.ts`.
 *
 *   POST /v1/enrol        with a join token's secret and a proof that the key is the host's own
 *   GET  /v1/netmap       server-sent events, bearer = credential, `Last-Event-ID` = netmap's id
 *   PUT  /v1/advertise    bearer = credential
 *   PUT  /v1/faults       bearer = credential
 *
 * The stream starts with `netmap` (whole) or, resumed at a revision the edge still knows, with what
 * changed since (`delta`); each carries the netmap's id as the event's id. A comment line comes every
 * HEARTBEAT_INTERVAL, so that silence means a dead connection. `gone` is the last event: the replica
 * was deleted, and reconnecting is no use. One that was away then is told by HTTP 410 with the code
 * CONNECTOR_GONE. Nothing else is final: an edge that lost its registry knows no credential at all.
 *
 * A replica passes over fields, events and problem codes that it does not know, so that edges can be of a
 * later build than their gateways. An edge refuses what it does not know: it is upgraded first.
 */
import { z } from 'zod';
import {
  breakoutWishSchema,
  connectorIdSchema,
  hashSchema,
  hostnameSchema,
  MAX_ROUTES_PER_CONNECTOR,
  nameSchema,
  publicKeySchema,
  relayIdSchema,
  replicaIdSchema,
  timeSchema,
  versionSchema,
} from './model.ts';
import { netmapDeltaSchema, netmapSchema, receivedNetmapSchema } from './netmap.ts';
import { MAX_NETMAP_ID_LENGTH } from './netmap-id.ts';

export const ENROL_PATH = '/v1/enrol';
export const NETMAP_PATH = '/v1/netmap';
export const ADVERTISE_PATH = '/v1/advertise';
export const FAULTS_PATH = '/v1/faults';

/** Between two comment lines of a stream without events, in ms. */
export const HEARTBEAT_INTERVAL = 15_000;
/** Without a byte for this long, a reader takes the stream for dead. */
export const STREAM_TIMEOUT = 40_000;

/** A secret as text: printable, no white space. */
export const secretSchema = z
  .string()
  .min(16)
  .max(256)
  .regex(/^[\x21-\x7e]+$/, 'not a secret');

/** Names a netmap of one replica: an event's id, sent back as it came (netmap-id.ts). */
export const netmapIdSchema = z.string().max(MAX_NETMAP_ID_LENGTH);

const PREFIX_FORM = 'a prefix is 1 to 64 characters, as 10.1.0.0/16';
/** A prefix as somebody wrote it. Whether it is one, and has host bits, is checked with a code of its own. */
export const prefixTextSchema = z.string().min(1, PREFIX_FORM).max(64, PREFIX_FORM);

export const enrolRequestSchema = z.strictObject({
  connector: connectorIdSchema,
  /** The join token's. */
  secret: secretSchema,
  /** Enrolling the same key again gives the same replica a new credential. */
  publicKey: publicKeySchema,
  /** SHA-256 of the bearer token that the host made for itself: `cwr_` and 32 bytes in base64url. */
  credentialHash: hashSchema,
  /** That the host holds the private key: enrolment-proof.ts. 64 hexadecimal digits. */
  proof: hashSchema,
  hostname: hostnameSchema,
  version: versionSchema,
  advertise: z.array(prefixTextSchema).max(MAX_ROUTES_PER_CONNECTOR),
  /** Needed to advertise 0.0.0.0/0 or ::/0. */
  allowDefault: z.boolean().optional(),
});
export type EnrolRequest = z.infer<typeof enrolRequestSchema>;

export const enrolResponseSchema = z.object({
  replica: replicaIdSchema,
  connector: connectorIdSchema,
  name: nameSchema,
  relayId: relayIdSchema,
  /** The edge's clock: a replica whose own is far off warns. */
  time: timeSchema,
  netmap: netmapSchema,
  /** For `Last-Event-ID`. */
  netmapId: netmapIdSchema,
});
export type EnrolResponse = z.infer<typeof enrolResponseSchema>;
/** As a replica takes it. */
export const receivedEnrolSchema = enrolResponseSchema.extend({ netmap: receivedNetmapSchema });

/** What the replica offers from now on, all of it; what it no longer names is withdrawn. */
export const advertiseRequestSchema = z.strictObject({
  prefixes: z.array(prefixTextSchema).max(MAX_ROUTES_PER_CONNECTOR),
  allowDefault: z.boolean().optional(),
  /** By whom this site's Internet traffic is to leave; absent = by nobody. */
  breakout: breakoutWishSchema.optional(),
});
export type AdvertiseRequest = z.infer<typeof advertiseRequestSchema>;

export const advertiseResponseSchema = z.object({
  /** In force at once, by the operator's approval or the connector's auto-approve list. */
  approved: z.array(z.string()),
  /** Wait for `connector routes approve`. */
  pending: z.array(z.string()),
});
export type AdvertiseResponse = z.infer<typeof advertiseResponseSchema>;

/** Told by a replica at once. */
export const MAX_FAULTS = 8;
/** Characters of a sentence. */
export const MAX_FAULT_LENGTH = 600;

/** For an operator's terminal: nothing that it obeys, hides or takes for a line's end. */
const lineSchema = z
  .string()
  .min(1)
  .regex(/^[^\p{C}\p{Zl}\p{Zp}]*$/u, 'no characters but those that are seen');

/** Traffic of a replica that goes one way. */
export const trafficFaultSchema = z.strictObject({
  /** A peer sends nothing; a prefix of another connector, or our own site, does not answer. */
  about: z.enum(['peer', 'prefix', 'site']),
  /** Whose it is; null = the replica's own. While that connector is down it is no fault of this one. */
  connector: connectorIdSchema.nullable(),
  /** The prefix, or the name of the peer. */
  subject: lineSchema.max(64),
  /** A sentence with the probable cause. */
  why: lineSchema.max(MAX_FAULT_LENGTH),
});
export type TrafficFault = z.infer<typeof trafficFaultSchema>;

/** All that is so now; what is not named any more has passed. A new netmap stream begins with none. */
export const faultsRequestSchema = z.strictObject({
  faults: z.array(trafficFaultSchema).max(MAX_FAULTS),
});

export const instanceSchema = z.string().regex(/^[A-Za-z0-9_-]{8,64}$/, 'not the name of a run');

export const netmapQuerySchema = z.strictObject({
  /** Who asks: an edge that no longer knows the credential can say that this replica was deleted. */
  replica: replicaIdSchema.optional(),
  /** Random name of this run of the daemon, by which two with copies of one identity are found. */
  instance: instanceSchema.optional(),
});

export const goneEventSchema = z.object({
  /** Of docs/errors.md. */
  code: z.string(),
  /** Who is no more: the receiver. */
  replica: replicaIdSchema,
  /** A sentence for the log. */
  detail: z.string(),
});
export type GoneEvent = z.infer<typeof goneEventSchema>;

export const twinsEventSchema = z.object({
  /** Who runs twice: the receiver. */
  replica: replicaIdSchema,
  /** From which the edge sees the two; one if they are behind the same NAT. */
  addresses: z.array(lineSchema.max(64)).max(16),
});
export type TwinsEvent = z.infer<typeof twinsEventSchema>;

/** Names of the stream's events and what their data is, as JSON. */
export const STREAM_EVENTS = {
  netmap: netmapSchema,
  delta: netmapDeltaSchema,
  gone: goneEventSchema,
  twins: twinsEventSchema,
} as const;

export const PROBLEM_TYPE = 'application/problem+json';

/** What is wrong with one part of a request. */
export const faultSchema = z.strictObject({ path: z.string(), message: z.string() });

/** RFC 9457. Loose, so that a later edge may say more. */
export const problemSchema = z.looseObject({
  type: z.string(),
  title: z.string(),
  status: z.int().min(100).max(599),
  /** One sentence: what is wrong and what to do. */
  detail: z.string(),
  /** Of docs/errors.md; a later edge may send one that this version does not know. */
  code: z.string(),
  errors: z.array(faultSchema).optional(),
});
export type Problem = z.infer<typeof problemSchema>;
