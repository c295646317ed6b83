/**
 * What `connector status` shows of a gateway; the same shape is what `--json` prints. For who validates
 * it; others import types only, because the schemas' library takes its time to load.
 */
import { z } from 'zod';
import { CHECK_NAMES, STATUSES } from '../doctor/finding.ts';

const timeSchema = z.string();
const wordsSchema = z.array(z.string()).readonly();
const traffic = {
  /** ISO 8601; null = never. */
  lastHandshake: timeSchema.nullable(),
  rxBytes: z.number(),
  txBytes: z.number(),
};

export const meshEdgeSchema = z.object({
  name: z.string(),
  publicKey: z.string(),
  /** Where its relay is reached; null = its name has no address. */
  endpoint: z.string().nullable(),
  /** `ADDRESS:PORT` of its API; of each of its names all that are known. */
  apis: z.array(z.string()),
  ...traffic,
});

export const meshPeerSchema = z.object({
  connector: z.string(),
  replica: z.string(),
  publicKey: z.string(),
  /** Whether it carries its connector's mesh IPs and prefixes. */
  serving: z.boolean(),
  mesh: z.object({ ipv4: z.string(), ipv6: z.string() }),
  path: z.object({
    kind: z.enum(['direct', 'relayed', 'none']),
    /** Name of the edge; null when it is not relayed. */
    edge: z.string().nullable(),
    endpoint: z.string().nullable(),
  }),
  /** Round-trip time of the path in ms; null = not measured. */
  rtt: z.number().nullable(),
  /** Bytes of the largest packet that the path carries; null = not found out yet. */
  mtu: z.number().nullable(),
  prefixes: z.array(z.string()),
  ...traffic,
});

/**
 * `in force`: routed into the mesh. `local`: a subnet here, or a more preferred route of ours, wins.
 * `partly local`: but for a part of it that is local. `ours`: this connector serves it. `pending`: it
 * is advertised and waits for approval. `offered`: a default route that this gateway has not chosen.
 */
export const routeInForceSchema = z.object({
  prefix: z.string(),
  connector: z.string(),
  priority: z.number(),
  state: z.enum(['in force', 'local', 'partly local', 'ours', 'pending', 'offered']),
  /** As in the peer's path, in words; empty for our own. */
  path: z.string(),
});

const breakoutWaySchema = z.object({
  way: z.enum(['own', 'through', 'refused']),
  connector: z.string().nullable(),
});

export const meshStatusSchema = z.object({
  interface: z.string(),
  pid: z.number(),
  since: timeSchema,
  version: z.string(),
  connector: z.object({ id: z.string(), name: z.string(), vnet: z.string().nullable() }),
  replica: z.object({ id: z.string(), relayId: z.number(), serving: z.boolean() }),
  mesh: z.object({ ipv4: z.string(), ipv6: z.string() }).nullable(),
  publicKey: z.string(),
  listenPort: z.number(),
  mtu: z.number(),
  crypto: z.enum(['noble', 'openssl']),
  offloads: z.array(z.string()),
  stream: z.object({
    state: z.enum(['connecting', 'open', 'gone']),
    since: timeSchema,
    url: z.string().nullable(),
    error: z.object({ code: z.string(), message: z.string() }).nullable(),
  }),
  netmap: z
    .object({ revision: z.number(), source: z.enum(['cache', 'edge']), refused: z.number() })
    .nullable(),
  edges: z.array(meshEdgeSchema),
  peers: z.array(meshPeerSchema),
  routes: z.array(routeInForceSchema),
  /** Of the hosts' Internet traffic; null = there is no netmap, or it was not asked for. */
  breakout: z
    .object({
      /** As they were named. */
      connectors: z.array(z.string()),
      ipv4: breakoutWaySchema,
      ipv6: breakoutWaySchema,
    })
    .nullable(),
  drops: z.array(z.object({ reason: z.string(), meaning: z.string(), packets: z.number() })),
  /** Null: everything is allowed, or nothing passes because the policy cannot be enforced. */
  policy: z
    .object({
      version: z.number(),
      default: z.enum(['allow', 'deny']),
      /** Of the policy's rules, those that concern this connector. */
      rules: z.number(),
      /** Packets since the start. */
      counters: z.object({
        denied: z.number(),
        /** Not part of a connection, or against its protocol. */
        invalid: z.number(),
        /** Of kinds that the kernel tracks no connections of. */
        untracked: z.number(),
        /** That met a `log` rule, at most one a minute and connection. */
        logged: z.number(),
        /** Of gateways' questions to each other, which no rule is about. */
        diagnosis: z.number(),
      }),
      /** Flows denied last, a sample. */
      recent: z.array(
        z.object({
          at: timeSchema,
          source: z.string(),
          destination: z.string(),
          protocol: z.string(),
          port: z.number().nullable(),
          packets: z.number(),
          /** Null: the default. */
          rule: z.number().nullable(),
        }),
      ),
    })
    .nullable(),
  flows: z.object({
    /** Null = it is off. */
    log: z
      .object({
        target: z.string(),
        written: z.number(),
        /** Records that the target did not take. */
        dropped: z.number(),
        /** Times that the kernel had more events than were read. */
        lost: z.number(),
        fault: z.string().nullable(),
      })
      .nullable(),
    /** Why connections cannot be followed. */
    fault: z.string().nullable(),
    /** Traffic that is not answered. */
    oneWay: z.array(
      z.object({
        prefix: z.string(),
        connector: z.string(),
        /** From our point of view: `out` into the mesh, `in` from it to our own site. */
        direction: z.enum(['out', 'in']),
        /** Who does not answer. */
        about: z.enum(['peer', 'prefix']),
        since: timeSchema,
        flows: z.number(),
        hosts: z.number(),
      }),
    ),
  }),
  /** Questions of other gateways about flows since the start; null = it answers none (--no-diagnosis). */
  diagnosis: z
    .object({
      answered: z.number(),
      /** Connections from addresses that are no gateway's. */
      stranger: z.number(),
      wrong: z.number(),
      limited: z.number(),
      /** Why it does not listen. */
      fault: z.string().nullable(),
    })
    .nullable(),
  /** What every check of the gateway and its host found (doctor/finding.ts). */
  findings: z.array(
    z.object({
      check: z.enum(CHECK_NAMES),
      status: z.enum(STATUSES),
      says: z.string(),
      remedy: wordsSchema,
      fixes: z.array(z.object({ command: wordsSchema, undo: wordsSchema })).readonly(),
    }),
  ),
  /** Those that are wrong, with their remedies, a paragraph each. */
  problems: z.array(z.string()),
});

export type MeshEdge = z.infer<typeof meshEdgeSchema>;
export type MeshPeer = z.infer<typeof meshPeerSchema>;
export type RouteInForce = z.infer<typeof routeInForceSchema>;
export type MeshStatus = z.infer<typeof meshStatusSchema>;
