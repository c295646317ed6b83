/** What `connector` is before it has commands, and what they all get: terms of help, form of errors. */
import { Command } from 'commander';
import { withUsageErrors } from './usage-errors.ts';
import { packageVersion } from './version.ts';

export const PROGRAM = 'connector';

export function rootProgram(): Command {
  return new Command(PROGRAM)
    .description('Joins sites by encrypted CIDR routes, with their true source addresses.')
    .version(packageVersion(), '--version', 'print the version')
    .addHelpText(
      'after',
      `
Environment:
  LOG_LEVEL        silent, error, warn, info (default), verbose, debug or trace
  CAUSEWAY_EDGE    what --edge is when it is not given
  CAUSEWAY_TOKEN   API token for the edge; not needed on its own host
  CAUSEWAY_PIN     pin of the edge's certificate, if no authority vouches for it

Errors end in a code, as [PORT_IN_USE]; docs/errors.md says more about each.`,
    );
}

/** To be called when all commands are there. */
export function withCommands(program: Command): Command {
  return withUsageErrors(withHints(withShortTerms(program), program.name()));
}

/** Lists commands without `[options]` and arguments, so that what each does has room beside it. */
function withShortTerms(program: Command): Command {
  program.configureHelp({ subcommandTerm: (command) => command.name() });
  for (const command of program.commands) withShortTerms(command);
  return program;
}

/** After an error in the command line, which help is about it. */
function withHints(command: Command, title: string): Command {
  command.showHelpAfterError(`(${title} --help says how it is used)`);
  for (const child of command.commands) withHints(child, `${title} ${child.name()}`);
  return command;
}
