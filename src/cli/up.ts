/** `connector up`: enrols this host with a join token, once, and runs it as a gateway of the mesh. */
import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { Command, InvalidArgumentError } from 'commander';
import { CausewayError } from '../errors.ts';
import type { TunnelOptions } from '../gateway/tunnel.ts';
import { checkInterfaceName } from '../tun/interface-name.ts';
import { inheritedReadinessPipe, inheritedToken, startInBackground } from './background.ts';
import { cryptoOption } from './crypto-option.ts';
import { packageVersion } from './version.ts';

export const DEFAULT_INTERFACE = 'causeway0';
export const DEFAULT_STATE_DIRECTORY = '/var/lib/causeway';
/**
 * Fits through every path that carries IPv6 at all, with 80 bytes to spare for WireGuard's own
 * headers on all but the narrowest: nothing is known of the path behind the edge (decision 014).
 */
const DEFAULT_MTU = 1_280;

interface Options {
  readonly token?: string;
  readonly tokenFile?: string;
  readonly advertise?: readonly string[];
  readonly allowDefault?: true;
  readonly name?: string;
  readonly interface: string;
  readonly stateDir: string;
  readonly mtu: number;
  readonly port: number;
  readonly forwarding: boolean;
  readonly foreground?: true;
  readonly crypto: TunnelOptions['crypto'];
}

export function upCommand(): Command {
  return new Command('up')
    .description('join the mesh with a token, once, and run this gateway')
    .option('--token <token>', 'join token, from `connector create` on the edge')
    .option('--token-file <file>', 'file with the join token, - for standard input')
    .option('--advertise <cidr...>', 'prefixes of this site; they wait for approval')
    .option('--allow-default', 'a default route may be advertised')
    .option('--name <name>', 'name of this host among the replicas (default: its host name)')
    .option('--interface <name>', 'name of the interface', DEFAULT_INTERFACE)
    .option('--state-dir <directory>', 'identity and last netmap', DEFAULT_STATE_DIRECTORY)
    .option('--mtu <bytes>', 'MTU of the interface', range(1_280, 65_440), DEFAULT_MTU)
    .option('--port <port>', 'UDP port, 0 = any', range(0, 65_535), 0)
    .option('--no-forwarding', 'leave ip_forward and IPv6 forwarding as they are')
    .option('-f, --foreground', 'stay in the foreground and log to stderr')
    .addOption(cryptoOption())
    .action(run);
}

async function run(options: Options): Promise<void> {
  checkInterfaceName(options.interface);
  if (options.token !== undefined && options.tokenFile !== undefined) {
    throw new CausewayError('USAGE', 'Give --token or --token-file, not both.');
  }
  const pipe = inheritedReadinessPipe();
  if (pipe === undefined && options.foreground !== true) {
    if (options.tokenFile === '-') {
      throw new CausewayError('USAGE', 'A token from standard input needs --foreground.');
    }
    const warnings = await startInBackground();
    for (const warning of warnings) process.stderr.write(`connector: warning: ${warning}\n`);
    return;
  }
  const token = inheritedToken() ?? (await readToken(options));
  // The parent of a background daemon needs none of these.
  const { openLog } = await import('../gateway/log.ts');
  const { openMesh } = await import('../gateway/mesh/open-mesh.ts');
  const { runDaemonCommand } = await import('./run-daemon.ts');
  const log = openLog(process.env.LOG_LEVEL, { interface: options.interface });
  await runDaemonCommand('connector', pipe, (onWarning) =>
    openMesh({
      interfaceName: options.interface,
      stateDirectory: options.stateDir,
      mtu: options.mtu,
      listenPort: options.port,
      crypto: options.crypto,
      forwarding: options.forwarding,
      enrolment: {
        token,
        advertise: options.advertise,
        allowDefault: options.allowDefault === true,
        hostname: options.name ?? hostname(),
        version: packageVersion(),
      },
      log,
      onWarning,
    }),
  );
  process.exit();
}

async function readToken({ token, tokenFile }: Options): Promise<string | undefined> {
  if (tokenFile === undefined) return token;
  try {
    return await readFile(tokenFile === '-' ? '/dev/stdin' : tokenFile, 'utf8');
  } catch (error) {
    const message = `The token file ${tokenFile} cannot be read: ${(error as Error).message}.`;
    throw new CausewayError('FILE_ACCESS', message, { cause: error });
  }
}

function range(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = /^[0-9]{1,5}$/.test(text) ? Number(text) : Number.NaN;
    if (value >= least && value <= most) return value;
    throw new InvalidArgumentError(`It is a number from ${least} to ${most}.`);
  };
}
