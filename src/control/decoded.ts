/** The result of decoding what somebody else wrote: decoders return, they never throw. */
import type { z } from 'zod';
import type { ErrorCode } from '../errors.ts';

export type Decoded<T> =
  | { readonly ok: true; readonly value: T }
  /** `message`: a sentence for whoever has to act on it. */
  | { readonly ok: false; readonly code: ErrorCode; readonly message: string };

/** The first fault that a schema found, with where: `routes.3.prefix: not a prefix`. */
export function schemaFault(error: z.ZodError): string {
  const issue = error.issues[0];
  if (issue === undefined) return 'not valid';
  return issue.path.length === 0 ? issue.message : `${issue.path.join('.')}: ${issue.message}`;
}
