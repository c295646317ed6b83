/**
 * What `connector routes explain` answers, and `--json` prints: the steps of a flow's way in the order in
 * which a packet and its answer take them. For who validates it; others import types only.
 */
import { z } from 'zod';
import { PROTOCOL_NAMES, type ProtocolName } from '../../control/policy/services.ts';

/** Addresses, or names of connectors for their mesh IPs. */
const sideSchema = z.string().min(1).max(64);

export const questionSchema = z.strictObject({
  source: sideSchema,
  destination: sideSchema,
  protocol: z.enum(PROTOCOL_NAMES as [ProtocolName, ...ProtocolName[]]).optional(),
  /** Of the destination. */
  port: z.int().min(0).max(65_535).optional(),
});
/** Without a protocol: a ping. */
export type Question = z.infer<typeof questionSchema>;

/**
 * `unchecked`: could not be looked at, or need not be because of what failed before it. The explanation
 * as a whole is `ok` only if every step is.
 */
export const stepStateSchema = z.enum(['ok', 'failed', 'unchecked']);

export const remedySchema = z.object({
  /** What to do, a sentence. */
  text: z.string(),
  /** The same for a root shell; empty where a person has to decide. */
  commands: z.array(z.string()),
  /** Where: name of a connector, for its gateway, or `edge`; null where that is elsewhere. */
  at: z.string().nullable(),
});
export type Remedy = z.infer<typeof remedySchema>;

export const stepSchema = z.object({
  /** What was looked at; the same word for the same step in every version. */
  step: z.string(),
  /** Name of the connector whose gateway looked. */
  at: z.string(),
  state: stepStateSchema,
  /** What was found. */
  text: z.string(),
  remedy: remedySchema.nullable(),
});
export type Step = z.infer<typeof stepSchema>;

export const explanationSchema = z.object({
  source: z.string(),
  destination: z.string(),
  /** `10.1.0.10 → 10.2.0.10 tcp 22`. */
  flow: z.string(),
  /** Of the gateway that was asked. */
  connector: z.string(),
  /** Whether the source or the destination belongs to it. */
  concerned: z.boolean(),
  ok: z.boolean(),
  steps: z.array(stepSchema),
});
export type Explanation = z.infer<typeof explanationSchema>;
