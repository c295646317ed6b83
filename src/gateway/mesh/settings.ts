/**
 * What a gateway is told: by the command line of `connector up`, and by its configuration file for
 * what the command line does not say. Without the schemas' library, for the commands that need none.
 */
import { existsSync } from 'node:fs';
import { CausewayError } from '../../errors.ts';
import { loadSchemaLibrary } from '../schema-library.ts';
import type { TunnelOptions } from '../tunnel.ts';
import type { BreakoutSetting } from './breakout-setting.ts';
import { DEFAULT_STATE_DIRECTORY } from './state-directory.ts';

export const DEFAULT_CONFIGURATION_FILE = '/etc/causeway/connector.toml';

export interface GatewaySettings extends BreakoutSetting {
  /** The join token itself. */
  readonly token?: string | undefined;
  readonly tokenFile?: string | undefined;
  /** Undefined = as before. */
  readonly advertise?: readonly string[] | undefined;
  readonly allowDefault: boolean;
  /** Undefined = the host's name. */
  readonly name?: string | undefined;
  readonly interface: string;
  readonly stateDir: string;
  /** Bytes; `auto` = what the way to the edges leaves. */
  readonly mtu: number | 'auto';
  /** UDP port, 0 = any. */
  readonly port: number;
  readonly forwarding: boolean;
  /** Whether other gateways may ask this one about flows. */
  readonly diagnosis: boolean;
  readonly crypto: TunnelOptions['crypto'];
  /** `ADDRESS:PORT` of the metrics; undefined = none. */
  readonly metrics?: string | undefined;
  /** A path, or `syslog`; undefined = no flow log. */
  readonly flowLog?: string | undefined;
  /** MiB of one file. */
  readonly flowLogSize: number;
  /** Full ones that are kept. */
  readonly flowLogFiles: number;
  readonly oneWayDetector: boolean;
  /** Undefined = the default. */
  readonly logLevel?: string | undefined;
}

export type GivenSettings = { readonly [K in keyof GatewaySettings]?: GatewaySettings[K] };

export const DEFAULT_SETTINGS = {
  allowDefault: false,
  breakout: [],
  breakoutFamily: 'both',
  breakoutFallback: 'refuse',
  interface: 'causeway0',
  stateDir: DEFAULT_STATE_DIRECTORY,
  mtu: 'auto',
  port: 0,
  forwarding: true,
  diagnosis: true,
  crypto: 'auto',
  flowLogSize: 64,
  flowLogFiles: 8,
  oneWayDetector: true,
} as const satisfies GatewaySettings;

export const MTU_RANGE = { least: 1_280, most: 65_440 } as const;
export const PORT_RANGE = { least: 0, most: 65_535 } as const;
export const FLOW_LOG_SIZE_RANGE = { least: 1, most: 16_384 } as const;
export const FLOW_LOG_FILES_RANGE = { least: 1, most: 1_000 } as const;
/** What a flow log goes to, in words. */
export const FLOW_LOG_FORM = 'an absolute path or "syslog"';
export const CRYPTOGRAPHY = ['auto', 'noble', 'openssl'] as const;

/** @throws CausewayError USAGE */
export function checkFlowLog(target: string): void {
  if (isFlowLog(target)) return;
  throw new CausewayError('USAGE', `A flow log goes to ${FLOW_LOG_FORM}, not to ${target}.`);
}

export function isFlowLog(target: string): boolean {
  return target === 'syslog' || /^\/[^\0]*[^/\0]$/.test(target);
}

/** The command line wins over the file, the file over the defaults. */
export function mergeSettings(commandLine: GivenSettings, file: GivenSettings): GatewaySettings {
  const saysToken = commandLine.token !== undefined || commandLine.tokenFile !== undefined;
  const { token, tokenFile, ...rest } = file;
  const tokens = saysToken ? {} : { token, tokenFile };
  return { ...DEFAULT_SETTINGS, ...rest, ...tokens, ...commandLine };
}

/**
 * What the file says; nothing if there is none at the default place.
 *
 * @param path undefined = the default place
 * @throws CausewayError CONFIG_SYNTAX, CONFIG_VALUE, FILE_ACCESS
 */
export async function fileSettings(path: string | undefined): Promise<GivenSettings> {
  if (path === undefined && !existsSync(DEFAULT_CONFIGURATION_FILE)) return {};
  await loadSchemaLibrary();
  const { readSettingsFile } = await import('./settings-file.ts');
  return readSettingsFile(path ?? DEFAULT_CONFIGURATION_FILE);
}

/** What makes a host's replica nobody again, of the gateway that is meant: it may not be the only one here. */
export function forgetCommand(
  interfaceName: string = DEFAULT_SETTINGS.interface,
  stateDirectory: string = DEFAULT_SETTINGS.stateDir,
): string {
  const said = [
    ...(interfaceName === DEFAULT_SETTINGS.interface ? [] : ['--interface', interfaceName]),
    ...(stateDirectory === DEFAULT_SETTINGS.stateDir ? [] : ['--state-dir', stateDirectory]),
  ];
  return ['connector down --forget', ...said].join(' ');
}
