/** Rules for API tokens. */
import { type ApiToken, MAX_TOKENS, nameSchema, type Role, tokenSchema } from '../model.ts';
import { hashSecret, isSecret } from '../secrets.ts';
import { checked, checkFree, checkRoom, existing } from './checks.ts';
import { Draft, type Plan, type RuleContext } from './draft.ts';
import type { RegistryView } from './view.ts';

export interface CreateTokenInput {
  readonly name: string;
  readonly role: Role;
  /** Null = never. */
  readonly expires: number | null;
  /** The token itself; only its hash is kept. */
  readonly secret: string;
}

/** @throws CausewayError VALUE_INVALID, NAME_TAKEN, LIMIT_REACHED */
export function createToken(
  view: RegistryView,
  input: CreateTokenInput,
  { now, newId }: RuleContext,
): Plan<ApiToken> {
  const name = checked(nameSchema, 'name', input.name);
  checkFree(view.findToken(name), 'token', name);
  checkRoom(view.tokens.size, MAX_TOKENS, 'tokens');
  const token = checked(tokenSchema, 'token', {
    id: newId(),
    name,
    role: input.role,
    hash: hashSecret(input.secret),
    created: now,
    expires: input.expires,
  });
  const draft = new Draft(view);
  draft.put('token', token);
  return draft.plan(token);
}

/** @throws CausewayError NOT_FOUND */
export function deleteToken(view: RegistryView, reference: string): Plan<ApiToken> {
  const token = existing(view.findToken(reference), 'token', reference);
  const draft = new Draft(view);
  draft.delete('token', token);
  return draft.plan(token);
}

/** The token whose secret this is, unless it expired. */
export function authenticateToken(
  view: RegistryView,
  secret: string,
  now: number,
): ApiToken | undefined {
  const token = view.byTokenHash(hashSecret(secret));
  if (token === undefined || !isSecret(secret, token.hash)) return undefined;
  return token.expires === null || now < token.expires ? token : undefined;
}
