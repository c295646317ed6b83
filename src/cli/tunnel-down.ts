/** `connector tunnel down CONF|NAME`: ends the daemon and waits until everything is removed. */
import { Command } from 'commander';
import { CausewayError } from '../errors.ts';
import { interfaceOf } from '../gateway/configuration-file.ts';
import { warn } from './output.ts';

export function tunnelDownCommand(): Command {
  return new Command('down')
    .description('take a tunnel down, with all that came with it')
    .argument('<conf>', 'file NAME.conf, or NAME')
    .action(run);
}

async function run(fileOrName: string): Promise<void> {
  const interfaceName = interfaceOf(fileOrName);
  const { takeDown } = await import('../gateway/take-down.ts');
  if (await takeDown(interfaceName, 'tunnel', warn)) return;
  throw new CausewayError(
    'INTERFACE_MISSING',
    `No tunnel ${interfaceName} is up in this network namespace: \`connector tunnel status\` shows those that are.`,
  );
}
