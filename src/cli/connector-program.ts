/** The commands of `connector`, one file each. */
import { Command } from 'commander';
import { completionCommand } from './completion.ts';
import { downCommand } from './down.ts';
import { pingCommand } from './ping.ts';
import { statusCommand } from './status.ts';
import { tunnelDownCommand } from './tunnel-down.ts';
import { tunnelStatusCommand } from './tunnel-status.ts';
import { tunnelUpCommand } from './tunnel-up.ts';
import { upCommand } from './up.ts';
import { withUsageErrors } from './usage-errors.ts';
import { packageVersion } from './version.ts';

export const PROGRAM = 'connector';

/** The whole tree of commands, for running and for completion. */
export function buildProgram(): Command {
  const program = new Command(PROGRAM)
    .description('Joins sites by encrypted CIDR routes, with their true source addresses.')
    .version(packageVersion(), '--version', 'print the version')
    .showHelpAfterError(`(${PROGRAM} --help says how it is used)`)
    .addHelpText(
      'after',
      `
Environment:
  LOG_LEVEL   silent, error, warn, info (default), verbose, debug or trace

Errors end in a code, as [PORT_IN_USE]; docs/errors.md says more about each.`,
    );
  program
    .addCommand(upCommand())
    .addCommand(downCommand())
    .addCommand(statusCommand())
    .addCommand(pingCommand());
  program
    .command('tunnel')
    .description('WireGuard tunnels from wg-quick configuration files')
    .addCommand(tunnelUpCommand())
    .addCommand(tunnelDownCommand())
    .addCommand(tunnelStatusCommand());
  program.addCommand(completionCommand(program));
  return withUsageErrors(program);
}
