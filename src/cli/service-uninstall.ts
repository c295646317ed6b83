/** `connector service uninstall`: ends the service and removes what `install` made. */
import type { Command } from 'commander';
import { chosenService, type ServiceOptions, serviceCommand } from './service-option.ts';
import { unitName } from './service-units.ts';

export function serviceUninstallCommand(): Command {
  return serviceCommand('uninstall')
    .description('end the service and remove it; identity, state and your configuration stay')
    .action(run);
}

async function run(options: ServiceOptions): Promise<void> {
  const { isPackaged, thisHost, uninstallService } = await import('./service-installation.ts');
  const service = chosenService(options);
  const host = thisHost();
  const removed = await uninstallService(host, service);
  for (const file of removed) process.stdout.write(`${file}\n`);
  const wasThere = isPackaged(host, service) ? 'disabled' : 'not installed';
  process.stdout.write(`${unitName(service)} is ${removed.length > 0 ? 'removed' : wasThere}.\n`);
}
