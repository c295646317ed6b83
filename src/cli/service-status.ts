/** `connector service status`: whether the service is installed and runs, and what it says of itself. */
import type { Command } from 'commander';
import { print } from './output.ts';
import { chosenService, type ServiceOptions, serviceCommand } from './service-option.ts';
import { unitName } from './service-units.ts';
import { formatFields } from './table.ts';

interface Options extends ServiceOptions {
  readonly json?: true;
}

/** Properties of systemd, and what they are called here. */
const PROPERTIES = {
  LoadState: 'unit',
  UnitFileState: 'at boot',
  ActiveState: 'state',
  SubState: 'in detail',
  StatusText: 'status',
  MainPID: 'process',
  NRestarts: 'restarts',
  ActiveEnterTimestamp: 'since',
  FragmentPath: 'file',
} as const;

export function serviceStatusCommand(): Command {
  return serviceCommand('status')
    .description('whether the service is installed and runs; exit code 1 if it does not')
    .option('--json', 'print JSON')
    .action(run);
}

async function run(options: Options): Promise<void> {
  const { systemctl, checkSystemd } = await import('./service-installation.ts');
  checkSystemd();
  const unit = unitName(chosenService(options));
  const names = Object.keys(PROPERTIES).join(',');
  const values = parseProperties(await systemctl('show', unit, `--property=${names}`));
  print(options, { unit, ...values }, () =>
    formatFields([
      ['service', unit],
      ...Object.entries(PROPERTIES).flatMap(([name, label]): [string, string][] =>
        values[name] ? [[label, values[name]]] : [],
      ),
    ]),
  );
  if (values.ActiveState !== 'active') process.exitCode = 1;
}

/** Lines of `Name=value`. */
export function parseProperties(text: string): Record<string, string> {
  const lines = text.split('\n').filter((line) => line.includes('='));
  return Object.fromEntries(
    lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  );
}
