/** Errors as problem documents (RFC 9457): the stable code, a sentence, and the status it travels by. */
import type { Problem } from '../control/api.ts';
import { CausewayError, type ErrorCode } from '../errors.ts';

/** Statuses of the codes that a request can end in; every other one is a fault of the edge: 500. */
const STATUS: Partial<Record<ErrorCode, number>> = {
  REQUEST_INVALID: 400,
  VALUE_INVALID: 400,
  ROUTE_PREFIX: 400,
  ROUTE_HOST_BITS: 400,
  ROUTE_RESERVED: 400,
  ROUTE_DEFAULT: 400,
  POLICY_SYNTAX: 400,
  POLICY_UNKNOWN: 400,
  POLICY_SHADOWED: 400,
  UNAUTHORIZED: 401,
  JOIN_TOKEN_DAMAGED: 401,
  JOIN_TOKEN_WRONG: 401,
  JOIN_TOKEN_REVOKED: 401,
  FORBIDDEN: 403,
  KEY_UNPROVEN: 403,
  NOT_FOUND: 404,
  NAME_TAKEN: 409,
  ROUTE_TAKEN: 409,
  KEY_TAKEN: 409,
  CERTIFICATE: 409,
  CONNECTOR_GONE: 410,
  VNET_IN_USE: 409,
  POLICY_TESTS: 409,
  POLICY_CUTS_OFF: 409,
  POLICY_CHANGED: 409,
  LIMIT_REACHED: 409,
  REPLICA_LIMIT: 409,
  MESH_FULL: 409,
  REQUEST_TOO_LARGE: 413,
  TOO_MANY_REQUESTS: 429,
  INTERNAL: 500,
  REGISTRY_BUSY: 503,
  NOT_SERVING: 503,
  FILE_ACCESS: 503,
  STORE_LOCKED: 503,
  STORE_CLOSED: 503,
  STORE_FULL: 507,
};

const TITLES: Readonly<Record<number, string>> = {
  400: 'The request is wrong',
  401: 'Not authenticated',
  403: 'Not allowed',
  404: 'Not found',
  409: 'In conflict with what is there',
  410: 'Gone',
  413: 'Too large',
  429: 'Too many requests',
  500: 'Internal error',
  503: 'Not possible right now',
  507: 'No room left',
};

/** A request that does not fit its schema, with what is wrong where. */
export class RequestError extends CausewayError {
  readonly faults: readonly { readonly path: string; readonly message: string }[];

  constructor(message: string, faults: RequestError['faults'] = []) {
    super('REQUEST_INVALID', message);
    this.faults = faults;
  }
}

/** A refusal that says when to try again. */
export class TooManyRequests extends CausewayError {
  readonly retryAfter: number;

  /** @param retryAfter seconds */
  constructor(message: string, retryAfter: number) {
    super('TOO_MANY_REQUESTS', message);
    this.retryAfter = retryAfter;
  }
}

/** Whether the error is the requester's to know; others are logged and answered as INTERNAL. */
export function isAnswerable(error: unknown): error is CausewayError {
  return error instanceof CausewayError && STATUS[error.code] !== undefined;
}

/** @param requestId names the request in the log */
export function problemOf(error: unknown, requestId: string): Problem {
  if (!isAnswerable(error)) {
    const detail = `The edge failed; its log says more under request ${requestId}.`;
    return document('INTERNAL', 500, detail);
  }
  const problem = document(error.code, STATUS[error.code]!, error.message);
  if (!(error instanceof RequestError) || error.faults.length === 0) return problem;
  return { ...problem, errors: error.faults.map((fault) => ({ ...fault })) };
}

function document(code: ErrorCode, status: number, detail: string): Problem {
  return { type: `urn:causeway:error:${code}`, title: TITLES[status]!, status, detail, code };
}
