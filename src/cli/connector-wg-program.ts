/**
 * `connector-wg IFNAME`: a drop-in for wireguard-go, as the cross-platform userspace interface
 * describes it. Configured by wg(8) and wg-quick(8).
 */
import { Command } from 'commander';
import type { TunnelOptions } from '../gateway/tunnel.ts';
import { checkInterfaceName } from '../tun/interface-name.ts';
import { inheritedReadinessPipe, startInBackground } from './background.ts';
import { cryptoOption } from './crypto-option.ts';
import { withUsageErrors } from './usage-errors.ts';
import { packageVersion } from './version.ts';

export const WG_PROGRAM = 'connector-wg';
/** WireGuard's: 1500 less 80 bytes for an IPv6 underlay. */
const DEFAULT_MTU = 1_420;

interface Options {
  readonly foreground?: true;
  readonly crypto: TunnelOptions['crypto'];
}

export function buildWgProgram(): Command {
  const program = new Command(WG_PROGRAM)
    .description(
      'Creates a WireGuard interface and its configuration socket, then goes to the background.',
    )
    .argument('<interface>', 'name of the interface to create, 1 to 15 characters')
    .option('-f, --foreground', 'stay in the foreground and log to stderr')
    .addOption(cryptoOption())
    .version(packageVersion(), '--version', 'print the version')
    .addHelpText(
      'after',
      `
Environment:
  LOG_LEVEL   silent, error, warn, info (default), verbose, debug or trace

Then configure it:
  wg setconf wg0 FILE
  ip address add 10.0.0.1/24 dev wg0
  ip link set wg0 up
With wg-quick:
  WG_QUICK_USERSPACE_IMPLEMENTATION=connector-wg wg-quick up wg0
It ends on SIGTERM, or when the interface or its socket is removed.`,
    )
    .showHelpAfterError('(connector-wg --help says how it is used)')
    .action(run);
  return withUsageErrors(program);
}

async function run(interfaceName: string, options: Options): Promise<void> {
  checkInterfaceName(interfaceName);
  const pipe = inheritedReadinessPipe();
  // WG_PROCESS_FOREGROUND is what scripts written for wireguard-go set.
  const foreground = options.foreground === true || process.env.WG_PROCESS_FOREGROUND === '1';
  if (pipe === undefined && !foreground) {
    await startInBackground();
    return;
  }
  // The parent of a background daemon needs none of these.
  const { openLog } = await import('../gateway/log.ts');
  const { openTunnel } = await import('../gateway/open-tunnel.ts');
  const { runDaemonCommand } = await import('./run-daemon.ts');
  await runDaemonCommand(WG_PROGRAM, pipe, async () => ({
    interfaceName,
    mtu: DEFAULT_MTU,
    crypto: options.crypto,
    openTunnel,
    log: openLog(process.env.LOG_LEVEL, { interface: interfaceName }),
  }));
  process.exit();
}
