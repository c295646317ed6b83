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
  'PERMISSION',
  'TUN_MISSING',
  'PORT_IN_USE',
  'SOCKET_IN_USE',
  'COMMAND_MISSING',
  'COMMAND_FAILED',
  'CRYPTO_UNAVAILABLE',
  'ADDON_MISSING',
  'START_FAILED',
  'USAGE',
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
