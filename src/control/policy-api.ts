/**
 * The part of the `/v1` API that is about policies; see operator-api.ts for the rest.
 *
 *   GET, PUT  /v1/vnets/{id}/policy          GET   /v1/vnets/{id}/policy/history
 *   POST      /v1/vnets/{id}/policy/test     POST  /v1/vnets/{id}/policy/rollback
 *   GET       /v1/vnets/{id}/policy/explain
 */
import { z } from 'zod';
import { commentSchema, MAX_POLICY_LENGTH, nameSchema } from './model.ts';
import { isoTimeSchema, namedVnetSchema } from './operator-api.ts';
import { verdictSchema } from './policy/policy.ts';
import { ICMP_NAMES, type IcmpName, PROTOCOL_NAMES, type ProtocolName } from './policy/services.ts';

const protocolSchema = z.enum(PROTOCOL_NAMES as [ProtocolName, ...ProtocolName[]]);
const icmpSchema = z.enum(ICMP_NAMES as [IcmpName, ...IcmpName[]]);
const SIDE_FORM = 'an address, or the name of a connector, is 1 to 64 characters';
const sideSchema = z.string().min(1, SIDE_FORM).max(64, SIDE_FORM);
const portSchema = z.int().min(0).max(65_535);
const textSchema = z
  .string()
  .max(MAX_POLICY_LENGTH, `a policy is at most ${MAX_POLICY_LENGTH} characters`);

export const policySummarySchema = z.strictObject({
  vnet: namedVnetSchema,
  /** 0 = there never was one: everything is allowed. */
  version: z.int().min(0),
  default: verdictSchema,
  rules: z.int().min(0),
  tests: z.int().min(0),
  comment: commentSchema,
  /** Name of the token that set it, or `local`; empty for version 0. */
  author: z.string(),
  /** Null for version 0. */
  created: isoTimeSchema.nullable(),
});
export type PolicySummary = z.infer<typeof policySummarySchema>;

/** With the operator's document. */
export const policyViewSchema = policySummarySchema.extend({ text: textSchema });
export type PolicyView = z.infer<typeof policyViewSchema>;

/** The highest first; the first is in force. */
export const policyHistorySchema = z.strictObject({ versions: z.array(policySummarySchema) });

const changeShape = {
  /** The version that it was made from: another one in force by now is an error. */
  expected: z.int().min(0).optional(),
  /** TCP connections by which the operator works, besides the one of this request. */
  connections: z
    .array(z.strictObject({ source: sideSchema, destination: sideSchema, port: portSchema }))
    .max(8)
    .optional(),
  /** Even if it cuts one of these. */
  force: z.boolean().optional(),
};
export const policySetSchema = z.strictObject({
  text: textSchema,
  comment: commentSchema.optional(),
  ...changeShape,
});
export type PolicySet = z.infer<typeof policySetSchema>;
export const policyRollbackSchema = z.strictObject({ version: z.int().min(1), ...changeShape });

export const policyDecisionSchema = z.strictObject({
  verdict: verdictSchema,
  /** From 1; null = the default decides. */
  rule: z.int().nullable(),
  /** `log` rules that it met before. */
  logged: z.array(z.int()),
  /** Names of the connectors whose addresses they are. */
  sourceConnectors: z.array(nameSchema),
  destinationConnectors: z.array(nameSchema),
});

export const policyTestSchema = z.strictObject({ text: textSchema.optional() });
export const policyTestResultsSchema = z.strictObject({
  passed: z.boolean(),
  results: z.array(
    policyDecisionSchema.extend({
      number: z.int(),
      /** `10.1.0.7 → 10.2.0.9 tcp 22`. */
      flow: z.string(),
      expect: verdictSchema,
      passed: z.boolean(),
    }),
  ),
});
export type PolicyTestResults = z.infer<typeof policyTestResultsSchema>;

export const policyExplainQuerySchema = z.strictObject({
  /** An address, or a connector for its mesh IP. */
  source: sideSchema,
  destination: sideSchema,
  protocol: protocolSchema,
  port: z.coerce.number().int().min(0).max(65_535).optional(),
  icmp: icmpSchema.optional(),
});
export const policyExplanationSchema = policyDecisionSchema.extend({
  vnet: namedVnetSchema,
  version: z.int().min(0),
  flow: z.string(),
  /** A sentence. */
  why: z.string(),
  /** The rule that decides, as the operator wrote it; null = the default decides. */
  text: z.string().nullable(),
});
export type PolicyExplanation = z.infer<typeof policyExplanationSchema>;
