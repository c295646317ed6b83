/** `connector down`: ends the gateway and waits until everything is removed. */
import { Command } from 'commander';
import { CausewayError } from '../errors.ts';
import { DEFAULT_SETTINGS, fileSettings, mergeSettings } from '../gateway/mesh/settings.ts';
import { checkInterfaceName } from '../tun/interface-name.ts';
import { addGateway, type GivenGateway } from './gateway-options.ts';
import { givenOptions } from './given-options.ts';
import { warn } from './output.ts';

interface Options extends GivenGateway {
  readonly forget?: true;
}

export function downCommand(): Command {
  const command = new Command('down')
    .description('end this gateway; the next `up` needs no token')
    .option('--forget', 'give the identity up as well: joining again needs a new token');
  return addGateway(command).action(run);
}

async function readFile(config: string | undefined, forget: true | undefined) {
  try {
    return await fileSettings(config);
  } catch (error) {
    if (!(error instanceof CausewayError)) throw error;
    const { interface: name, stateDir } = DEFAULT_SETTINGS;
    const instead = `connector down --interface ${name}${forget ? ` --forget --state-dir ${stateDir}` : ''}`;
    const message = `${error.message} \`${instead}\`, with the names in use here, does without the file.`;
    throw new CausewayError(error.code, message, { cause: error });
  }
}

async function run(options: Options, command: Command): Promise<void> {
  const { config, forget, ...given } = givenOptions<Options>(options, command);
  // A file with a mistake does not keep a gateway running whose place the command line says.
  const needsFile = given.interface === undefined || (forget && given.stateDir === undefined);
  const settings = mergeSettings(given, needsFile ? await readFile(config, forget) : {});
  checkInterfaceName(settings.interface);
  const { takeDown } = await import('../gateway/take-down.ts');
  const ended = await takeDown(settings.interface, 'gateway', warn);
  if (forget) {
    const { forgetIdentity } = await import('../gateway/mesh/forget.ts');
    await forgetIdentity(settings.stateDir);
  } else if (!ended) {
    throw new CausewayError(
      'INTERFACE_MISSING',
      `No gateway runs on ${settings.interface} in this network namespace: \`connector status\` shows those that do.`,
    );
  }
}
