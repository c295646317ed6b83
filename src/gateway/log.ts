/**
 * The daemon's log: pino's JSON lines on stderr, written synchronously so that the last line before
 * an exit is there. Keys print as `[secret key]` wherever they turn up (src/keys.ts).
 */
import { type Logger, pino } from 'pino';

export type Log = Logger;

/** Names that LOG_LEVEL takes: wireguard-go's (error, verbose, silent) and pino's. */
const LEVELS: Readonly<Record<string, string>> = {
  silent: 'silent',
  fatal: 'fatal',
  error: 'error',
  warn: 'warn',
  info: 'info',
  verbose: 'debug',
  debug: 'debug',
  trace: 'trace',
};

export const LOG_LEVEL_NAMES = Object.keys(LEVELS);

/** pino's name for a value of LOG_LEVEL; undefined for one that is no level. */
export function parseLogLevel(value: string | undefined): string | undefined {
  if (value === undefined || value === '') return 'info';
  return Object.hasOwn(LEVELS, value.toLowerCase()) ? LEVELS[value.toLowerCase()] : undefined;
}

/** A logger on stderr; `bindings` are in every line. */
export function openLog(value: string | undefined, bindings: Record<string, unknown>): Log {
  const level = parseLogLevel(value);
  const destination = pino.destination({ dest: 2, sync: true });
  // A terminal that was closed, or a reader that went away, does not end a router.
  destination.on('error', () => {});
  const log = pino(
    { level: level ?? 'info', base: bindings, timestamp: pino.stdTimeFunctions.isoTime },
    destination,
  );
  if (level === undefined) {
    log.warn({ given: value, known: LOG_LEVEL_NAMES }, 'LOG_LEVEL is no level, taking info');
  }
  return log;
}
