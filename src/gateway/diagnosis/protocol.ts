/**
 * What gateways ask each other through the mesh: HTTP/1.1 and JSON on the mesh IPs, one request a
 * connection.
 *
 *   POST /v1/flow-facts   {"source": "10.1.0.10", "destination": "10.2.0.10", "protocol": 6, "port": 22}
 *
 * The asker is known by its mesh IP, which cryptokey routing has authenticated. It is told about flows
 * between its own addresses and those of the asked, and of these what the policy allows: see the rule in
 * concern.ts. Fields that a receiver does not know are passed over.
 */
import { z } from 'zod';
import { addressSchema, sideFactsSchema } from '../explain/side-facts.ts';

export { DIAGNOSIS_PORT } from './port.ts';

export const FACTS_PATH = '/v1/flow-facts';
/** Bytes of a request's and an answer's body. */
export const MAX_REQUEST = 1_024;
export const MAX_ANSWER = 65_536;
/** ms that the asker waits: more than who is asked takes (diagnosis-listener.ts). */
export const ASK_WITHIN = 8_000;
/** ms until the asker gives up a connection that does not open: the kernel tries again after a second. */
export const CONNECT_WITHIN = 2_500;

export const flowRequestSchema = z.object({
  source: addressSchema,
  destination: addressSchema,
  /** Number of the protocol. */
  protocol: z.int().min(0).max(255),
  /** Of the destination, or the ICMP type; not there for protocols that have neither. */
  port: z.int().min(0).max(65_535).optional(),
});
export type FlowRequest = z.infer<typeof flowRequestSchema>;

/**
 * Answers are about approved prefixes only (concern.ts). One that waits for approval would be shown with the
 * command that approves it, to somebody who may: whoever is asked could name any.
 */
const answeredFactsSchema = sideFactsSchema.refine(
  ({ near }) => near.kind === 'mesh' || near.kind === 'route',
  'not of an approved prefix',
);

/**
 * `not-yours`: the address at the asker's end is none of its connector's. `not-ours`: the other one is none
 * of the asked connector's.
 */
export const flowAnswerSchema = z.union([
  z.object({ facts: answeredFactsSchema }),
  z.object({ refused: z.enum(['not-yours', 'not-ours']), revision: z.int().min(0) }),
]);
export type FlowAnswer = z.infer<typeof flowAnswerSchema>;
