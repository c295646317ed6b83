/**
 * Errors that an operator can act on: a stable code, a sentence that says what is wrong and what to
 * do, and an entry in `docs/errors.md` (a test compares the two lists).
 */
export const ERROR_CODES = [
  'CONFIG_SYNTAX',
  'CONFIG_VALUE',
  'CONFIG_MISSING',
  'FILE_ACCESS',
  'INTERFACE_NAME',
  'INTERFACE_EXISTS',
  'INTERFACE_MISSING',
  'INTERFACE_REMOVED',
  'PERMISSION',
  'TUN_MISSING',
  'PORT_IN_USE',
  'SOCKET_IN_USE',
  'COMMAND_MISSING',
  'COMMAND_FAILED',
  'CRYPTO_UNAVAILABLE',
  'ADDON_MISSING',
  'START_FAILED',
  'SYSTEMD_MISSING',
  'USAGE',
  'VALUE_INVALID',
  'NAME_TAKEN',
  'NOT_FOUND',
  'LIMIT_REACHED',
  'VNET_IN_USE',
  'ROUTE_PREFIX',
  'ROUTE_HOST_BITS',
  'ROUTE_TAKEN',
  'ROUTE_RESERVED',
  'ROUTE_DEFAULT',
  'MESH_FULL',
  'JOIN_TOKEN_DAMAGED',
  'JOIN_TOKEN_WRONG',
  'JOIN_TOKEN_REVOKED',
  'REPLICA_LIMIT',
  'KEY_TAKEN',
  'KEY_UNPROVEN',
  'NETMAP_INVALID',
  'REGISTRY_BUSY',
  'STORE_LOCKED',
  'STORE_FULL',
  'STORE_NEWER',
  'STORE_DAMAGED',
  'STORE_CLOSED',
  'REGISTRY_MISSING',
  'UNAUTHORIZED',
  'FORBIDDEN',
  'REQUEST_INVALID',
  'REQUEST_TOO_LARGE',
  'TOO_MANY_REQUESTS',
  'INTERNAL',
  'NOT_SERVING',
  'DIRECTORY_IN_USE',
  'CERTIFICATE',
  'EDGE_UNREACHABLE',
  'EDGE_UNTRUSTED',
  'EDGE_REFUSED',
  'NOT_ENROLLED',
  'ENROLLED_ALREADY',
  'IDENTITY_DAMAGED',
  'CONNECTOR_GONE',
  'CLOCK_WRONG',
  'POLICY_SYNTAX',
  'POLICY_UNKNOWN',
  'POLICY_SHADOWED',
  'POLICY_TESTS',
  'POLICY_CUTS_OFF',
  'POLICY_CHANGED',
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

export class CausewayError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'CausewayError';
    this.code = code;
  }
}
