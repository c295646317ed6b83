/** `connector bugreport`: one archive of what is needed to find a fault, without secrets. */
import { hostname } from 'node:os';
import { resolve } from 'node:path';
import { Command } from 'commander';
import { DEFAULT_DATA_DIRECTORY } from '../edge/paths.ts';
import { fileSettings, type GivenSettings, mergeSettings } from '../gateway/mesh/settings.ts';
import { checkInterfaceName } from '../tun/interface-name.ts';
import { addGateway, type GivenGateway } from './gateway-options.ts';
import { givenOptions } from './given-options.ts';
import { count, print } from './output.ts';
import { TOKEN_FILE } from './service-units.ts';
import { formatBytes } from './tunnel-status.ts';
import { packageVersion } from './version.ts';

interface Options extends GivenGateway {
  readonly output?: string;
  readonly json?: true;
}

export function bugreportCommand(): Command {
  const command = new Command('bugreport')
    .description('collect in one archive what is needed to find a fault; no secrets')
    .option('--output <file>', 'the archive (default: causeway-bugreport-HOST-TIME.tar.gz)');
  return addGateway(command).option('--json', 'say as JSON what was written').action(run);
}

async function run(options: Options, command: Command): Promise<void> {
  const { output, config, json, ...given } = givenOptions<Options>(options, command);
  // A file with a mistake is no reason for having no report: its text is in it.
  const file = await fileSettings(config).catch((): GivenSettings => ({}));
  const settings = mergeSettings(given, file);
  checkInterfaceName(settings.interface);
  const { writeBugreport } = await import('../gateway/bugreport/bugreport.ts');
  const path = resolve(output ?? defaultName(new Date()));
  const { tokenFile = TOKEN_FILE } = settings;
  const report = await writeBugreport({
    output: path,
    version: packageVersion(),
    interfaceName: settings.interface,
    stateDirectory: settings.stateDir,
    edgeDirectory: DEFAULT_DATA_DIRECTORY,
    configuration: config === undefined ? undefined : resolve(config),
    secretFiles: [tokenFile, TOKEN_FILE].filter((name) => name !== '-'),
    environment: process.env,
    program: [process.execPath, ...process.execArgv, process.argv[1]!],
  });
  const { files, bytes } = report;
  const removed = Object.fromEntries(report.removed);
  print(json ? { json } : {}, { path, bytes, files, removed }, () => {
    const kinds = Object.entries(removed).map(([what, number]) => `${number} × ${what}`);
    return `${path}: ${count(files.length, 'file')}, ${formatBytes(bytes)}; only you can read it.
Removed: ${kinds.join(', ') || 'nothing'}. Public keys are cut short.
It has addresses, routes, names and the log.
Look through it before you give it away:
  tar -xzf ${path} && less causeway-bugreport/README.txt
`;
  });
}

/** Local time, as people name files. */
function defaultName(now: Date): string {
  const two = (value: number): string => String(value).padStart(2, '0');
  const date = [now.getFullYear(), two(now.getMonth() + 1), two(now.getDate())].join('');
  const time = [now.getHours(), now.getMinutes(), now.getSeconds()].map(two).join('');
  const host = hostname().replace(/[^A-Za-z0-9.-]/g, '_');
  return `causeway-bugreport-${host}-${date}-${time}.tar.gz`;
}
