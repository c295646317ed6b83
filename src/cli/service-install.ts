/** `connector service install`: a systemd service of the gateway, or of the edge, on this host. */
import type { Command } from 'commander';
import { chosenService, type ServiceOptions, serviceCommand } from './service-option.ts';
import { TOKEN_FILE, unitName, unitText } from './service-units.ts';

interface Options extends ServiceOptions {
  readonly now?: true;
  readonly print?: true;
}

export function serviceInstallCommand(): Command {
  return serviceCommand('install')
    .description('install a systemd service, for every start of this host; may be run again')
    .option('--now', 'start it as well, or start it anew if it runs')
    .option('--print', 'print the unit and do nothing')
    .action(run);
}

async function run(options: Options): Promise<void> {
  const { installService, PACKAGE_ROOT, thisHost } = await import('./service-installation.ts');
  const service = chosenService(options);
  const unit = unitName(service);
  if (options.print) {
    process.stdout.write(unitText(service, `${PACKAGE_ROOT}/bin/connector`));
    return;
  }
  const host = thisHost();
  for (const file of await installService(host, service)) process.stdout.write(`${file}\n`);
  if (options.now) await host.systemctl('restart', unit);
  else {
    const first =
      service === 'gateway' ? `Put the join token into ${TOKEN_FILE} (chmod 600), then s` : 'S';
    process.stdout.write(`${unit} is enabled. ${first}tart it: systemctl start ${unit}\n`);
  }
}
