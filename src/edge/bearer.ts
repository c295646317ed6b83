/**
 * Bearer secrets: API tokens of operators and credentials of replicas.
 *
 *   cwt_<id>_<secret>   API token         id: its UUID without dashes
 *   cwr_<id>_<secret>   of a replica      secret: 32 random bytes, base64url
 *
 * The id finds the entry, so what is compared, in constant time, is one hash (control/secrets.ts).
 */
import { randomBytes } from 'node:crypto';
import { hashSecret } from '../control/secrets.ts';

const FORM = /^(cwt|cwr)_([0-9a-f]{32})_[A-Za-z0-9_-]{43}$/;
const SECRET_BYTES = 32;

export type BearerKind = 'token' | 'replica';
const MARKS = { token: 'cwt', replica: 'cwr' } as const;

export interface CreatedBearer {
  /** Shown once, never kept. */
  readonly text: string;
  /** What is kept. */
  readonly hash: string;
}

/** @param id UUID of the token or replica */
export function createBearer(kind: BearerKind, id: string): CreatedBearer {
  const random = randomBytes(SECRET_BYTES).toString('base64url');
  const text = `${MARKS[kind]}_${id.replaceAll('-', '')}_${random}`;
  return { text, hash: hashSecret(text) };
}

export interface BearerForm {
  readonly kind: BearerKind;
  /** The UUID that it claims to be of. */
  readonly id: string;
}

/** Undefined if the text is neither kind of secret. */
export function readBearer(text: string): BearerForm | undefined {
  const [, mark, digits] = FORM.exec(text) ?? [];
  if (mark === undefined || digits === undefined) return undefined;
  const id = digits.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
  return { kind: mark === 'cwt' ? 'token' : 'replica', id };
}
