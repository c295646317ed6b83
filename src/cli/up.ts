/** `connector up`: enrols this host with a join token, once, and runs it as a gateway of the mesh. */
import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join, resolve } from 'node:path';
import { Command, Option } from 'commander';
import { BREAKOUT_FALLBACKS } from '../control/breakout.ts';
import { CausewayError } from '../errors.ts';
import type { Log } from '../gateway/log.ts';
import { FAMILY_CHOICES } from '../gateway/mesh/breakout-setting.ts';
import {
  DEFAULT_SETTINGS,
  FLOW_LOG_FILES_RANGE,
  FLOW_LOG_SIZE_RANGE,
  fileSettings,
  type GatewaySettings,
  MTU_RANGE,
  mergeSettings,
  PORT_RANGE,
} from '../gateway/mesh/settings.ts';
import { checkInterfaceName } from '../tun/interface-name.ts';
import { inheritedReadinessPipe, inheritedToken, startInBackground } from './background.ts';
import { cryptoOption } from './crypto-option.ts';
import { addConfiguration, type GivenGateway } from './gateway-options.ts';
import { givenOptions } from './given-options.ts';
import { numberFrom } from './number-argument.ts';
import { TOKEN_CREDENTIAL } from './service-units.ts';
import { packageVersion } from './version.ts';

interface Options extends GivenGateway {
  readonly foreground?: true;
}

export function upCommand(): Command {
  const command = new Command('up').description(
    'join the mesh with a token, once, and run this gateway',
  );
  return addConfiguration(command)
    .option('--token <token>', 'join token, from `connector create` on the edge')
    .option('--token-file <file>', 'file with the join token, - for standard input')
    .option('--advertise <cidr...>', 'prefixes of this site; they wait for approval')
    .option('--allow-default', 'a default route may be advertised')
    .option('--breakout <connector...>', 'by whom Internet traffic of this site leaves')
    .addOption(
      new Option('--breakout-family <family>', 'for which of IPv4 and IPv6')
        .choices(FAMILY_CHOICES)
        .default(DEFAULT_SETTINGS.breakoutFamily),
    )
    .addOption(
      new Option('--breakout-fallback <way>', 'when none of them takes it')
        .choices(BREAKOUT_FALLBACKS)
        .default(DEFAULT_SETTINGS.breakoutFallback),
    )
    .option('--name <name>', 'name of this host among the replicas (default: its host name)')
    .option('--interface <name>', 'name of the interface', DEFAULT_SETTINGS.interface)
    .option('--state-dir <directory>', 'identity and last netmap', DEFAULT_SETTINGS.stateDir)
    .option(
      '--mtu <bytes>',
      'MTU of the interface; auto = what the way to the edges leaves',
      mtuFrom,
      DEFAULT_SETTINGS.mtu,
    )
    .option(
      '--port <port>',
      'UDP port, 0 = any',
      numberFrom(PORT_RANGE.least, PORT_RANGE.most),
      DEFAULT_SETTINGS.port,
    )
    .option('--no-forwarding', 'leave ip_forward and IPv6 forwarding as they are')
    .option('--no-diagnosis', 'answer no questions of other gateways about flows')
    .option('--flow-log <target>', 'record connections in this file, or to syslog')
    .option(
      '--flow-log-size <MiB>',
      'size of one file',
      numberFrom(FLOW_LOG_SIZE_RANGE.least, FLOW_LOG_SIZE_RANGE.most),
      DEFAULT_SETTINGS.flowLogSize,
    )
    .option(
      '--flow-log-files <n>',
      'full files that are kept',
      numberFrom(FLOW_LOG_FILES_RANGE.least, FLOW_LOG_FILES_RANGE.most),
      DEFAULT_SETTINGS.flowLogFiles,
    )
    .option('--no-one-way-detector', 'do not look for traffic that is not answered')
    .option('--metrics <address:port>', 'serve metrics for Prometheus there, as 127.0.0.1:9780')
    .option('-f, --foreground', 'stay in the foreground and log to stderr')
    .addOption(cryptoOption())
    .action(run);
}

async function run(options: Options, command: Command): Promise<void> {
  const { config, foreground, ...given } = givenOptions<Options>(options, command);
  if (given.token !== undefined && given.tokenFile !== undefined) {
    throw new CausewayError('USAGE', 'Give --token or --token-file, not both.');
  }
  const pipe = inheritedReadinessPipe();
  if (pipe === undefined && foreground !== true) {
    if (given.tokenFile === '-') {
      throw new CausewayError('USAGE', 'A token from standard input needs --foreground.');
    }
    const warnings = await startInBackground();
    for (const warning of warnings) process.stderr.write(`connector: warning: ${warning}\n`);
    return;
  }
  const inherited = inheritedToken();
  const commandLine = inherited === undefined ? given : { ...given, token: inherited };
  // The parent of a background daemon needs none of these.
  const { openLog } = await import('../gateway/log.ts');
  const { openMesh } = await import('../gateway/mesh/open-mesh.ts');
  const { runDaemonCommand } = await import('./run-daemon.ts');
  await runDaemonCommand('connector', pipe, async (onWarning) => {
    // A background daemon has another working directory than the command.
    const file = config === undefined ? undefined : resolve(config);
    const reread = async () => mergeSettings(commandLine, await fileSettings(file));
    const settings = await reread();
    checkInterfaceName(settings.interface);
    const level = process.env.LOG_LEVEL || settings.logLevel;
    const log = openLog(level, { interface: settings.interface });
    const token = await joinToken(settings, log);
    return openMesh({
      settings,
      reread,
      token,
      hostname: settings.name ?? hostname(),
      version: packageVersion(),
      log,
      onWarning,
    }).catch((error: unknown) => {
      throw token === undefined ? explainMissingToken(error, settings) : error;
    });
  });
  process.exit();
}

/**
 * A token file is needed once, and may be gone when it was used. A service, which may not read root's
 * files, has its token from the service manager.
 */
async function joinToken(
  { token, tokenFile }: GatewaySettings,
  log: Log,
): Promise<string | undefined> {
  if (tokenFile === undefined) return token ?? (await inheritedCredential());
  try {
    return await readFile(tokenFile === '-' ? '/dev/stdin' : tokenFile, 'utf8');
  } catch (error) {
    const credential = await inheritedCredential();
    if (credential !== undefined) return credential;
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') {
      log.info(
        { tokenFile },
        'the token file is not there, and not needed where a host is enrolled',
      );
      return undefined;
    }
    const text = `The token file ${tokenFile} cannot be read: ${message}.`;
    throw new CausewayError('FILE_ACCESS', text, { cause: error });
  }
}

/** The token that systemd read for us (LoadCredential=); an empty one is none. */
async function inheritedCredential(): Promise<string | undefined> {
  const directory = process.env.CREDENTIALS_DIRECTORY;
  if (directory === undefined) return undefined;
  const text = await readFile(join(directory, TOKEN_CREDENTIAL), 'utf8').catch(() => '');
  return text.trim() === '' ? undefined : text;
}

function explainMissingToken(error: unknown, { tokenFile }: GatewaySettings): unknown {
  const isIt = error instanceof CausewayError && error.code === 'NOT_ENROLLED';
  if (!isIt || tokenFile === undefined) return error;
  const text = `The token file ${tokenFile} is not there, and this host is enrolled nowhere yet: write what \`connector create NAME\` on the edge prints into it.`;
  return new CausewayError('FILE_ACCESS', text, { cause: error });
}

const mtuNumber = numberFrom(MTU_RANGE.least, MTU_RANGE.most);

function mtuFrom(text: string): number | 'auto' {
  return text === 'auto' ? text : mtuNumber(text);
}
