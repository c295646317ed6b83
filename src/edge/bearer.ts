/**
 * Bearer secrets: `cwt_…` is an API token of an operator, `cwr_…` the credential of a replica, each
 * with 32 random bytes in base64url. The registry keeps SHA-256 of the whole text.
 */
import { randomBytes } from 'node:crypto';

const FORM = /^(cwt|cwr)_[A-Za-z0-9_-]{43}$/;
const SECRET_BYTES = 32;
const MARKS = { token: 'cwt', replica: 'cwr' } as const;
export type BearerKind = keyof typeof MARKS;

/** A new one; shown once, never kept. */
export function createBearer(kind: BearerKind): string {
  return `${MARKS[kind]}_${randomBytes(SECRET_BYTES).toString('base64url')}`;
}

/** Undefined if the text is neither kind of secret. */
export function bearerKind(text: string): BearerKind | undefined {
  const mark = FORM.exec(text)?.[1];
  if (mark === undefined) return undefined;
  return mark === MARKS.token ? 'token' : 'replica';
}
