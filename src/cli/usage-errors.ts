/** Errors in the command line itself, in the form of all the others: `program: sentence. [CODE]`. */
import type { Command } from 'commander';
import type { ErrorCode } from '../errors.ts';

const CODE: ErrorCode = 'USAGE';

/** To be called when all commands are there: it goes through them. */
export function withUsageErrors(program: Command, name: string = program.name()): Command {
  program.configureOutput({
    outputError: (text, write) => {
      const [first = '', ...rest] = text.trim().split('\n');
      // What is not the error itself is the hint at --help, or "Did you mean".
      if (!first.startsWith('error: ')) write(text);
      else {
        const words = first.slice('error: '.length).replace(/\.$/, '');
        write(`${[`${name}: ${words}. [${CODE}]`, ...rest].join('\n')}\n`);
      }
    },
  });
  for (const command of program.commands) withUsageErrors(command, name);
  return program;
}
