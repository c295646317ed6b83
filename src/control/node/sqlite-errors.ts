/** SQLite's result codes as errors that an operator can act on. */
import { CausewayError } from '../../errors.ts';

const BUSY = 5;
const LOCKED = 6;
const READONLY = 8;
const IOERR = 10;
const FULL = 13;
const CANTOPEN = 14;

/** Anything that opening or using the file threw. Errors that are no SQLite error pass unchanged. */
export function storeError(error: unknown, path: string): unknown {
  if (!(error instanceof Error) || error instanceof CausewayError) return error;
  const { code, errcode } = error as { code?: string; errcode?: number };
  if (code === 'ENOSPC' || code === 'EDQUOT') return full(error, path);
  if (code !== 'ERR_SQLITE_ERROR' || errcode === undefined) {
    return code === undefined ? error : inaccessible(error, path);
  }
  switch (errcode & 0xff) {
    case BUSY:
    case LOCKED:
      return new CausewayError(
        'STORE_LOCKED',
        `${path} is locked by another process: end it (\`fuser ${path}\` shows which), or try again.`,
        { cause: error },
      );
    case FULL:
    case IOERR:
      return full(error, path);
    case READONLY:
    case CANTOPEN:
      return inaccessible(error, path);
    default:
      return new CausewayError(
        'STORE_DAMAGED',
        `${path} cannot be read as a registry (${error.message}): restore a copy of it.`,
        { cause: error },
      );
  }
}

function full(error: Error, path: string): CausewayError {
  return new CausewayError(
    'STORE_FULL',
    `${path} cannot be written (${error.message}): make room on its file system. Nothing that was acknowledged is lost.`,
    { cause: error },
  );
}

function inaccessible(error: Error, path: string): CausewayError {
  return new CausewayError('FILE_ACCESS', `${path} cannot be opened: ${error.message}.`, {
    cause: error,
  });
}
