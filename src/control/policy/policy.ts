/**
 * A policy as it is distributed and evaluated: the operator's document with connectors by id, ports as
 * ranges, protocols as numbers. It names connectors, not their addresses, so that it changes only when
 * the operator changes it; whoever applies it knows the addresses from the netmap.
 */
import { z } from 'zod';
import { cidrSchema, connectorIdSchema, nameSchema } from '../model.ts';
import { ICMP_NAMES, type IcmpName } from './services.ts';

export const MAX_RULES = 4_096;
export const MAX_TAGS = 256;
export const MAX_TAG_MEMBERS = 4_096;
/** Of one side of a rule. */
export const MAX_SELECTORS = 256;
export const MAX_PORTS = 64;

export const actionSchema = z.enum(['allow', 'deny', 'log']);
export type Action = z.infer<typeof actionSchema>;
export const verdictSchema = z.enum(['allow', 'deny']);
export type Verdict = z.infer<typeof verdictSchema>;

const portSchema = z.int().min(0).max(65_535);

/** Addresses of any of these. Null in a rule: of everybody. */
export const selectorSchema = z.strictObject({
  connectors: z.array(connectorIdSchema).max(MAX_SELECTORS),
  tags: z.array(nameSchema).max(MAX_SELECTORS),
  prefixes: z.array(cidrSchema).max(MAX_SELECTORS),
  /** And all addresses that are no connector's. */
  internet: z.literal(true).optional(),
});
export type Selector = z.infer<typeof selectorSchema>;

export const ruleSchema = z.strictObject({
  /** `log` decides nothing: the rules after it do. */
  action: actionSchema,
  from: selectorSchema.nullable(),
  to: selectorSchema.nullable(),
  /** Numbers; empty: any. */
  protocols: z.array(z.int().min(0).max(255)).max(16),
  /** Of the destination, sorted and disjoint; empty: any. */
  ports: z.array(z.tuple([portSchema, portSchema])).max(MAX_PORTS),
  /** Empty: any. */
  icmp: z.array(z.enum(ICMP_NAMES as [IcmpName, ...IcmpName[]])).max(ICMP_NAMES.length),
});
export type Rule = z.infer<typeof ruleSchema>;

export const policySchema = z.strictObject({
  /** Of the operator's document, counted within its virtual network. */
  version: z.int().min(1),
  /** For what no rule decides. */
  default: verdictSchema,
  /** Members by tag. */
  tags: z.record(nameSchema, z.array(connectorIdSchema).max(MAX_TAG_MEMBERS)),
  /** In order; the first that allows or denies decides. A rule's number is its place, from 1. */
  rules: z.array(ruleSchema).max(MAX_RULES),
});
export type Policy = z.infer<typeof policySchema>;
