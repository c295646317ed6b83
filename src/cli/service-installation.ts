/**
 * Installs and removes the units on this host. Both may be done again: what is as it should be is
 * not touched.
 */
import { accessSync, constants, existsSync, statSync } from 'node:fs';
import { mkdir, readFile, rename, rm, rmdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CausewayError } from '../errors.ts';
import { DEFAULT_CONFIGURATION_FILE } from '../gateway/mesh/settings.ts';
import { tryCommand } from '../tun/command.ts';
import { type Service, unitName, unitText } from './service-units.ts';

/** The package's root, seen from `src/cli` and `dist/cli` alike. */
export const PACKAGE_ROOT = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');

const UNIT_DIRECTORY = '/etc/systemd/system';
/** Where packages of the distribution have theirs. */
const PACKAGED_DIRECTORIES = ['/lib/systemd/system', '/usr/lib/systemd/system'];
const SYSCTL_FILE = '/etc/sysctl.d/90-causeway-edge.conf';

/** What the commands touch; tests have a directory of their own, and no systemd. */
export interface ServiceHost {
  /** '' or the directory that stands for `/`. */
  readonly root: string;
  /** Absolute path of `connector`. */
  readonly program: string;
  /** Runs systemctl; its standard output. */
  systemctl(...args: string[]): Promise<string>;
}

/** @throws CausewayError SYSTEMD_MISSING */
export function checkSystemd(): void {
  if (existsSync('/run/systemd/system')) return;
  const text =
    'This host was not started by systemd: run `connector up --foreground` under the service manager that it has.';
  throw new CausewayError('SYSTEMD_MISSING', text);
}

/** This host. @throws CausewayError SYSTEMD_MISSING, PERMISSION */
export function thisHost(): ServiceHost {
  checkSystemd();
  if (process.getuid?.() !== 0) {
    throw new CausewayError('PERMISSION', 'Services belong to root: run this with sudo.');
  }
  return { root: '', program: join(PACKAGE_ROOT, 'bin/connector'), systemctl };
}

/** Its standard output. @throws CausewayError COMMAND_FAILED */
export async function systemctl(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await tryCommand('systemctl', args);
  if (code === 0) return stdout;
  const words = stderr.trim().split('\n')[0] ?? '';
  throw new CausewayError('COMMAND_FAILED', `systemctl ${args.join(' ')}: ${words}`);
}

/**
 * Writes and enables the unit; a gateway gets the example of a configuration file if it has none.
 *
 * @returns files that were written
 * @throws CausewayError FILE_ACCESS when a service could not see the program
 */
export async function installService(host: ServiceHost, service: Service): Promise<string[]> {
  const written: string[] = [];
  const write = async (path: string, text: string): Promise<void> => {
    const file = host.root + path;
    if ((await textOf(file)) === text) return;
    await mkdir(dirname(file), { recursive: true, mode: 0o755 });
    await writeFile(`${file}.new`, text, { mode: 0o644 });
    await rename(`${file}.new`, file);
    written.push(path);
  };
  if (!isPackaged(host, service)) {
    checkProgram(host.program);
    await write(join(UNIT_DIRECTORY, unitName(service)), unitText(service, host.program));
  }
  if (service === 'edge')
    await write(SYSCTL_FILE, await packaged('sysctl.d/90-causeway-edge.conf'));
  if (service === 'gateway' && !existsSync(host.root + DEFAULT_CONFIGURATION_FILE)) {
    await write(DEFAULT_CONFIGURATION_FILE, await packaged('connector.toml'));
  }
  await host.systemctl('daemon-reload');
  await host.systemctl('enable', unitName(service));
  return written;
}

/**
 * Ends and disables it and removes what `installService` wrote. A configuration file stays if it was
 * changed; so does the state, identity included.
 *
 * @returns files that were removed
 */
export async function uninstallService(host: ServiceHost, service: Service): Promise<string[]> {
  const removed: string[] = [];
  const remove = async (path: string): Promise<void> => {
    if (!existsSync(host.root + path)) return;
    await rm(host.root + path);
    removed.push(path);
  };
  const unit = unitName(service);
  const unitFile = join(UNIT_DIRECTORY, unit);
  if (existsSync(host.root + unitFile) || isPackaged(host, service)) {
    await host.systemctl('disable', '--now', unit);
  }
  await remove(unitFile);
  if (service === 'edge') await remove(SYSCTL_FILE);
  else {
    const configuration = host.root + DEFAULT_CONFIGURATION_FILE;
    const isExample = (await textOf(configuration)) === (await packaged('connector.toml'));
    if (isExample && !isPackaged(host, service)) {
      await remove(DEFAULT_CONFIGURATION_FILE);
      // With a token in it, or something else, it stays.
      await rmdir(dirname(configuration)).catch(() => {});
    }
  }
  if (removed.length > 0) await host.systemctl('daemon-reload');
  return removed;
}

/** A package of the distribution brought the unit, and takes it away. */
export function isPackaged(host: ServiceHost, service: Service): boolean {
  return PACKAGED_DIRECTORIES.some((directory) =>
    existsSync(host.root + join(directory, unitName(service))),
  );
}

/**
 * A service is nobody in particular, and sees no home directory.
 *
 * @throws CausewayError FILE_ACCESS
 */
export function checkProgram(program: string): void {
  const hidden = /^\/(home|root|run\/user|tmp|var\/tmp)\//.exec(program);
  let reason = hidden === null ? undefined : `/${hidden[1]} is hidden from it`;
  for (let path = program; reason === undefined && path !== '/'; path = dirname(path)) {
    if ((statSync(path).mode & 0o001) === 0) reason = `others than root may not enter ${path}`;
  }
  if (reason === undefined) {
    accessSync(program, constants.X_OK);
    return;
  }
  const text = `The service could not run ${program}: ${reason}. Install the package below /opt or /usr, readable by all.`;
  throw new CausewayError('FILE_ACCESS', text);
}

function packaged(name: string): Promise<string> {
  return readFile(join(PACKAGE_ROOT, 'packaging', name), 'utf8');
}

async function textOf(path: string): Promise<string | undefined> {
  return existsSync(path) ? readFile(path, 'utf8') : undefined;
}
