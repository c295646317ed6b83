/** Finds and reads the file of `connector tunnel up CONF|NAME`. */
import { readFile, realpath, stat } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { CausewayError } from '../errors.ts';
import { checkInterfaceName } from '../tun/interface-name.ts';
import { parseWgQuickConfiguration, type WgQuickConfiguration } from './wg-quick-configuration.ts';

/** Where wg-quick(8) keeps the files that are called by name alone. */
const DIRECTORY = '/etc/wireguard';
const SUFFIX = '.conf';
/** A hundred times what 130,000 prefixes take. */
const MAX_SIZE = 512 * 1024 * 1024;

export interface ConfigurationFile {
  /** Absolute, without symbolic links. */
  readonly path: string;
  readonly interfaceName: string;
  readonly configuration: WgQuickConfiguration;
  /** Others than the owner's group may read it, secrets included. */
  readonly worldReadable: boolean;
}

/** `wg0` → /etc/wireguard/wg0.conf; anything else is a path. */
export function configurationPath(fileOrName: string): string {
  const name = /^[a-zA-Z0-9_=+.-]{1,15}$/.test(fileOrName) && !fileOrName.endsWith(SUFFIX);
  return name ? `${DIRECTORY}/${fileOrName}${SUFFIX}` : fileOrName;
}

/**
 * The interface that a file is for: its name without `.conf`.
 *
 * @throws CausewayError INTERFACE_NAME
 */
export function interfaceOf(fileOrName: string): string {
  const file = basename(configurationPath(fileOrName));
  if (!file.endsWith(SUFFIX)) {
    throw new CausewayError(
      'INTERFACE_NAME',
      `The file ${fileOrName} does not end in ".conf": it is called after its interface, as wg0.conf.`,
    );
  }
  const name = file.slice(0, -SUFFIX.length);
  checkInterfaceName(name);
  return name;
}

/**
 * @throws CausewayError FILE_ACCESS, INTERFACE_NAME, CONFIG_SYNTAX, CONFIG_VALUE, CONFIG_MISSING
 */
export async function readConfigurationFile(fileOrName: string): Promise<ConfigurationFile> {
  const given = configurationPath(fileOrName);
  const interfaceName = interfaceOf(fileOrName);
  try {
    const path = await realpath(given);
    const { size, mode } = await stat(path);
    const folder = await stat(dirname(path));
    if (size > MAX_SIZE) throw new Error('it is too large');
    const text = await readFile(path, 'utf8');
    return {
      path,
      interfaceName,
      configuration: parseWgQuickConfiguration(text, given),
      worldReadable: (mode & folder.mode & 0o007) !== 0,
    };
  } catch (error) {
    if (error instanceof CausewayError) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    const reasons: Record<string, string> = {
      ENOENT: 'there is no such file',
      EACCES: 'you may not read it; run this as root',
      EISDIR: 'it is a directory',
    };
    throw new CausewayError(
      'FILE_ACCESS',
      `The file ${given} cannot be read: ${reasons[code ?? ''] ?? message}.`,
      { cause: error },
    );
  }
}
