/** `connector down`: ends the gateway and waits until everything is removed. */
import { Command } from 'commander';
import { CausewayError } from '../errors.ts';
import { checkInterfaceName } from '../tun/interface-name.ts';
import { DEFAULT_INTERFACE, DEFAULT_STATE_DIRECTORY } from './up.ts';

interface Options {
  readonly interface: string;
  readonly stateDir: string;
  readonly forget?: true;
}

export function downCommand(): Command {
  return new Command('down')
    .description('end this gateway; the next `up` needs no token')
    .option('--interface <name>', 'name of the interface', DEFAULT_INTERFACE)
    .option('--forget', 'give the identity up as well: joining again needs a new token')
    .option('--state-dir <directory>', 'where the identity is', DEFAULT_STATE_DIRECTORY)
    .action(run);
}

async function run(options: Options): Promise<void> {
  checkInterfaceName(options.interface);
  const { takeDown } = await import('../gateway/take-down.ts');
  const ended = await takeDown(options.interface);
  if (options.forget) {
    const { forgetIdentity } = await import('../gateway/mesh/forget.ts');
    await forgetIdentity(options.stateDir);
  } else if (!ended) {
    throw new CausewayError(
      'INTERFACE_MISSING',
      `No gateway runs on ${options.interface} in this network namespace: \`connector status\` shows those that do.`,
    );
  }
}
