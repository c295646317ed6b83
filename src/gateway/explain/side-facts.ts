/**
 * What one gateway knows about a flow between its own site and another one. A side is the same whether the
 * flow begins or ends there: `near` is the address of its own site, `far` the other one. A gateway has its
 * own facts from its netmap and kernel, and the other's through the mesh (diagnosis/protocol.ts).
 *
 * Facts are numbers, names and addresses of a strict form, never sentences: what a peer says is put into
 * words here, and no word of its own reaches the operator's terminal or a command to be copied.
 */
import { z } from 'zod';
import { cidrSchema, nameSchema, prioritySchema } from '../../control/model.ts';
import { verdictSchema } from '../../control/policy/policy.ts';
import { parseAddress } from '../../routing/address.ts';

export const addressSchema = z
  .string()
  .max(45)
  .refine((text) => parseAddress(text) !== undefined, 'not an address');

/** The kernel allows more; others are not told. */
export const deviceSchema = z.string().regex(/^[A-Za-z0-9_][A-Za-z0-9_.@:-]{0,14}$/);

/** Of a table or chain of nftables. */
export const identifierSchema = z.string().regex(/^[A-Za-z0-9_][A-Za-z0-9_/.-]{0,63}$/);

/**
 * What the kernel would do with a packet. `rejected`: it takes the source for impossible at the interface
 * (rp_filter), or a blackhole. `unreachable`: an unreachable route, or forwarding is off.
 */
export const lookupSchema = z.object({
  result: z.enum(['sent', 'local', 'no-route', 'unreachable', 'prohibited', 'rejected', 'failed']),
  device: deviceSchema.nullable(),
  gateway: addressSchema.nullable(),
  /** Of the route; null = not known. */
  prefix: cidrSchema.nullable(),
});
export type Lookup = z.infer<typeof lookupSchema>;

/** The same packet as one that is forwarded, and as one of the gateway itself. */
export const lookupsSchema = z.object({ forwarded: lookupSchema, own: lookupSchema });
export type Lookups = z.infer<typeof lookupsSchema>;

export const filterSchema = z.object({
  tool: z.enum(['nft', 'iptables', 'iptables-legacy']),
  family: z.enum(['ip', 'ip6', 'inet']),
  table: identifierSchema,
  chain: identifierSchema,
  hook: z.enum(['prerouting', 'forward', 'postrouting', 'input', 'output']),
  /** Whose chain it is. */
  product: z.enum(['nftables', 'iptables', 'firewalld', 'ufw', 'Docker']),
  way: z.enum(['flow', 'answer']),
  /** `partly`: unless a rule accepts it of which that cannot be told. */
  passage: z.enum(['dropped', 'partly']),
});

/** A base chain with a rule that rewrites the flow's addresses. */
export const rewriteSchema = z.object({
  ...filterSchema.pick({ tool: true, family: true, table: true, chain: true }).shape,
  hook: z.enum(['prerouting', 'postrouting']),
  product: z.enum(['nftables', 'iptables', 'firewalld', 'Docker']),
  /** Whether the flow goes into the mesh there, or comes out of it. */
  way: z.enum(['into', 'out']),
});

export const kernelFactsSchema = z.object({
  /** `near` is an address of the gateway itself. */
  own: z.boolean(),
  /** From the mesh to `near`, and from there into the mesh. */
  toNear: lookupsSchema,
  toFar: lookupsSchema,
  /** The interface that `near` is behind, or would be; null = none is known. */
  lan: z
    .object({
      device: deviceSchema,
      state: z.enum(['up', 'down', 'no-carrier']),
      /** An address of the interface is in the subnet of `near`. */
      connected: z.boolean(),
    })
    .nullable(),
  /** Whether the next host towards `near` answers on the link; null = not asked. */
  neighbour: z.enum(['answers', 'silent']).nullable(),
  /** Of the flow's family. */
  forwarding: z.boolean(),
  /** Interfaces with strict rp_filter, of the mesh's and the one of `near`. */
  strict: z.array(deviceSchema).max(2),
  /** Chains of others that do not let the flow, or its answers, pass. */
  filters: z.array(filterSchema).max(8),
  /** Chains of others that rewrite the flow's addresses; earlier versions do not look. */
  rewrites: z.array(rewriteSchema).max(4).default([]),
  /** Whether all of the host's chains could be read. */
  filtersRead: z.boolean(),
});
export type KernelFacts = z.infer<typeof kernelFactsSchema>;

/** A connector that has the far address by a prefix. */
const holderSchema = z.object({
  connector: nameSchema,
  /** Null = by its mesh IP. */
  prefix: cidrSchema.nullable(),
  priority: prioritySchema,
});
export type Holder = z.infer<typeof holderSchema>;

export const sideFactsSchema = z.object({
  /** Name of the connector. */
  connector: nameSchema,
  vnet: nameSchema,
  /** The mesh interface. */
  device: deviceSchema,
  /** Of the netmap in force. */
  revision: z.int().min(0),
  /** Whether this replica carries the connector's prefixes. */
  serving: z.boolean(),
  near: z.object({
    kind: z.enum(['mesh', 'route', 'pending', 'none']),
    /** Of the connector's routes, the longest around it; null = none. */
    prefix: cidrSchema.nullable(),
  }),
  far: z.object({
    /** Who gets what is sent there, and the only one that is believed to send from there. */
    chosen: holderSchema.nullable(),
    /** Others that have it by a shorter prefix or at a lower preference; some of them, if there are many. */
    others: z.array(holderSchema).max(4),
    /** The local route that keeps it, or a part of the prefix with it, out of the mesh. */
    local: z
      .object({ prefix: cidrSchema, device: deviceSchema.nullable(), connected: z.boolean() })
      .nullable(),
  }),
  policy: z.object({
    /** 0 = there is none. */
    version: z.int().min(0),
    verdict: verdictSchema,
    /** Null = the default decides. */
    rule: z.int().min(1).nullable(),
    /** It is not in force as it is: an earlier one is, or nothing passes. */
    fault: z.enum(['earlier', 'closed']).nullable(),
  }),
  /** To the connector of `far`; null = there is none. */
  path: z
    .object({
      kind: z.enum(['direct', 'relayed', 'none']),
      /** Bytes of the largest packet that it carries; null = not found out yet. */
      mtu: z.int().min(0).max(65_535).nullable(),
    })
    .nullable(),
  /** Null: not looked at, because the policy denies the flow, or `near` is not of the Internet after all. */
  kernel: kernelFactsSchema.nullable(),
});
export type SideFacts = z.infer<typeof sideFactsSchema>;
