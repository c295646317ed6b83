/**
 * Closes the parts of something one after the other. Each is closed whatever becomes of the others: one
 * that fails is in the log, and one that hangs is not waited for any longer.
 */
import type { Log } from './log.ts';

export interface ClosingPart {
  /** For the log. */
  readonly what: string;
  readonly close: () => void | Promise<void>;
  /** How long it is waited for. */
  readonly timeoutMs: number;
}

/** In this order; never rejects. */
export async function closeParts(parts: Iterable<ClosingPart>, log: Log): Promise<void> {
  for (const { what, close, timeoutMs } of parts) {
    try {
      await withinTimeout(close(), timeoutMs);
    } catch (error) {
      log.error({ err: error, what }, 'could not be closed');
    }
  }
}

async function withinTimeout(closing: void | Promise<void>, timeoutMs: number): Promise<void> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error('timed out')), timeoutMs);
  try {
    await Promise.race([closing, promise]);
  } finally {
    clearTimeout(timer);
  }
}
