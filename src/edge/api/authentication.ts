/** Who sends a request, by the bearer secret in it, and whether he may. */
import type { Replica } from '../../control/model.ts';
import { authenticateReplica } from '../../control/registry/replicas.ts';
import { authenticateToken } from '../../control/registry/tokens.ts';
import type { RegistryView } from '../../control/registry/view.ts';
import { bearerKind } from '../../control/secrets.ts';
import { CausewayError } from '../../errors.ts';
import type { Actor } from '../audit-log.ts';
import type { FailureLimiter } from '../failure-limiter.ts';
import { TooManyRequests } from '../problem.ts';
import type { Access } from './endpoint.ts';

/** Who asks over the unix socket: whoever may open it. */
export const LOCAL_ACTOR: Actor = { role: 'admin', name: 'local', source: 'local' };

/** What a replica is told for good. */
export const REPLICA_GONE =
  'This replica, or its connector, was deleted at the edge: join again with a new token.';

export interface Identity {
  readonly actor: Actor;
  readonly replica: Replica | undefined;
}

export class Authentication {
  readonly #view: RegistryView;
  readonly #failures: FailureLimiter;
  /** Milliseconds since the epoch, and monotonic. */
  readonly #clock: { readonly unix: () => number; readonly monotonic: () => number };

  constructor(
    view: RegistryView,
    failures: FailureLimiter,
    clock: { readonly unix: () => number; readonly monotonic: () => number },
  ) {
    this.#view = view;
    this.#failures = failures;
    this.#clock = clock;
  }

  /**
   * @param authorization the header
   * @param source address of the peer
   * @param claimed the replica that the peer says it is, if it says so
   * @throws CausewayError UNAUTHORIZED, CONNECTOR_GONE, FORBIDDEN, TOO_MANY_REQUESTS
   */
  authenticate(
    access: Access,
    authorization: string | undefined,
    source: string,
    claimed?: string,
  ): Identity {
    if (access === 'public') {
      return { actor: { role: 'enrolling', name: '', source }, replica: undefined };
    }
    const identity = this.#identify(authorization, source);
    if (identity === undefined) {
      throw this.failure(source, refusal(authorization, this.#isDeleted(access, claimed)));
    }
    this.authorize(access, identity);
    return identity;
  }

  /** @throws CausewayError FORBIDDEN */
  authorize(access: Access, { actor }: Identity): void {
    const allowed = {
      public: true,
      replica: actor.role === 'replica',
      read: actor.role === 'admin' || actor.role === 'read-only',
      admin: actor.role === 'admin',
    }[access];
    if (allowed) return;
    throw new CausewayError(
      'FORBIDDEN',
      access === 'replica'
        ? "This is for a connector's own credential."
        : `The role ${actor.role} does not allow this: it needs ${access === 'admin' ? 'admin' : 'admin or read-only'}.`,
    );
  }

  /** Counts a failure, and returns what to answer. */
  failure(source: string, error: CausewayError): CausewayError {
    const retryAfter = this.#failures.fail(source, this.#clock.monotonic());
    if (retryAfter === 0) return error;
    const text = `Too many failed requests from this address: try again in ${retryAfter} s, with a valid token.`;
    return new TooManyRequests(text, retryAfter);
  }

  /** Only of replicas, and for who asks as one. Ids of replicas are no secret. */
  #isDeleted(access: Access, claimed: string | undefined): boolean {
    return access === 'replica' && claimed !== undefined && this.#view.wasDeleted(claimed);
  }

  #identify(authorization: string | undefined, source: string): Identity | undefined {
    const text = /^Bearer +(\S{1,256})$/i.exec(authorization ?? '')?.[1];
    const kind = text === undefined ? undefined : bearerKind(text);
    if (text === undefined || kind === undefined) return undefined;
    if (kind === 'replica') {
      const replica = authenticateReplica(this.#view, text);
      if (replica === undefined) return undefined;
      return { actor: { role: 'replica', name: replica.id, source }, replica };
    }
    const token = authenticateToken(this.#view, text, this.#clock.unix());
    if (token === undefined) return undefined;
    return { actor: { role: token.role, name: token.name, source }, replica: undefined };
  }
}

function refusal(authorization: string | undefined, isDeleted: boolean): CausewayError {
  if (authorization === undefined) {
    const text = 'This needs a token: send it as "Authorization: Bearer TOKEN".';
    return new CausewayError('UNAUTHORIZED', text);
  }
  if (isDeleted) return new CausewayError('CONNECTOR_GONE', REPLICA_GONE);
  const text =
    'The edge does not know this token: it is mistyped, deleted, expired, or of another edge.';
  return new CausewayError('UNAUTHORIZED', text);
}
