/** Options that say which gateway of this host a command is about, as `connector up` reads them. */
import type { Command } from 'commander';
import {
  DEFAULT_CONFIGURATION_FILE,
  DEFAULT_SETTINGS,
  type GivenSettings,
} from '../gateway/mesh/settings.ts';

/** What these options give. */
export interface GivenGateway extends GivenSettings {
  readonly config?: string;
}

/** `--config`. */
export function addConfiguration(command: Command): Command {
  const description = `configuration file (default: ${DEFAULT_CONFIGURATION_FILE}, if there)`;
  return command.option('--config <file>', description);
}

/** `--config`, `--interface` and `--state-dir`. */
export function addGateway(command: Command): Command {
  const { interface: name, stateDir } = DEFAULT_SETTINGS;
  return addConfiguration(command)
    .option('--interface <name>', 'name of the interface', name)
    .option('--state-dir <directory>', 'where the identity is', stateDir);
}
