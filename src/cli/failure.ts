/**
 * How a command fails: one sentence on stderr, exit code 1, and a stack trace only for those who
 * asked for it with LOG_LEVEL=debug (or verbose, trace).
 */
import { CausewayError } from '../errors.ts';

/** The sentence for a person. An unexpected error says so, and how to find out more. */
export function describeFailure(error: unknown): string {
  if (error instanceof CausewayError) return `${error.message} [${error.code}]`;
  const message = error instanceof Error ? error.message : String(error);
  return `Unexpected error: ${message}. Run again with LOG_LEVEL=debug to see where it came from.`;
}

/** Prints the failure and sets the exit code. */
export function reportFailure(program: string, error: unknown): void {
  process.stderr.write(`${program}: ${describeFailure(error)}\n`);
  if (/^(debug|verbose|trace)$/i.test(process.env.LOG_LEVEL ?? '') && error instanceof Error) {
    process.stderr.write(`${error.stack}\n`);
  }
  process.exitCode = 1;
}
