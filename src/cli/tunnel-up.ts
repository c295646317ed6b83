/** `connector tunnel up CONF|NAME`: what `wg-quick up` does, by our own daemon. */
import { Command } from 'commander';
import { readConfigurationFile } from '../gateway/configuration-file.ts';
import type { TunnelOptions } from '../gateway/tunnel.ts';
import { inheritedReadinessPipe, startInBackground } from './background.ts';
import { cryptoOption } from './crypto-option.ts';

/** Until the file or the underlay says another. */
const INITIAL_MTU = 1_420;

interface Options {
  readonly foreground?: true;
  readonly crypto: TunnelOptions['crypto'];
}

export function tunnelUpCommand(): Command {
  return new Command('up')
    .description('bring a tunnel up: interface, keys, addresses, MTU, DNS, routes, hooks')
    .argument('<conf>', 'file NAME.conf, or NAME for /etc/wireguard/NAME.conf')
    .option('-f, --foreground', 'stay in the foreground and log to stderr')
    .addOption(cryptoOption())
    .action(run);
}

async function run(fileOrName: string, options: Options): Promise<void> {
  const pipe = inheritedReadinessPipe();
  if (pipe === undefined && options.foreground !== true) {
    // Read here as well, so that a mistake in it is found before anything is started.
    await readConfigurationFile(fileOrName);
    const warnings = await startInBackground();
    for (const warning of warnings) process.stderr.write(`connector: warning: ${warning}\n`);
    return;
  }
  // The parent of a background daemon needs none of these.
  const { openLog } = await import('../gateway/log.ts');
  const { openTunnel } = await import('../gateway/open-tunnel.ts');
  const { setUpTunnel } = await import('../gateway/tunnel-setup.ts');
  const { runDaemonCommand } = await import('./run-daemon.ts');
  await runDaemonCommand('connector', pipe, async (onWarning) => {
    const file = await readConfigurationFile(fileOrName);
    const { interfaceName } = file;
    const log = openLog(process.env.LOG_LEVEL, { interface: interfaceName });
    if (file.worldReadable)
      onWarning(`${file.path} holds keys and everybody may read it: chmod 600 it.`);
    return {
      interfaceName,
      mtu: file.configuration.mtu ?? INITIAL_MTU,
      crypto: options.crypto,
      log,
      openTunnel,
      attach: (tunnel, signal) => setUpTunnel(tunnel, { file, log, onWarning }, signal),
    };
  });
  process.exit();
}
