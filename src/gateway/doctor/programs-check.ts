/** What a gateway needs of the system before it can start: programs, capabilities, the TUN driver. */
import { readFileSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { loadAddon } from '../../native/addon.ts';
import { tryCommand } from '../../tun/command.ts';
import { TUN, tunRefusal } from '../../tun/tun-access.ts';
import { type Finding, fixable, ok, problem, skipped } from './finding.ts';

/** Older ones have no JSON, or write other rules than the policy's. */
const LEAST_NFT = [1, 0] as const;
const CAP_NET_ADMIN = 12n;

export async function checkSystem(): Promise<Finding[]> {
  return [...(await checkPrograms()), checkPermission(), await checkTun()];
}

async function checkPrograms(): Promise<Finding[]> {
  const said: Finding[] = [];
  const ip = await versionOf('ip', ['-V']);
  if (ip === undefined) {
    const text = 'The command ip is not here: no address and no route can be set.';
    said.push(problem('programs', text, 'apt install iproute2'));
  }
  const nft = await versionOf('nft', ['--version']);
  if (nft === undefined) {
    const text =
      "The command nft is not here: TCP's segment size is not clamped, a policy cannot be enforced (nothing passes where there is one), and a default route is refused.";
    said.push(problem('programs', text, 'apt install nftables'));
  } else if (isOlder(nft, LEAST_NFT)) {
    const text = `nft is version ${nft.join('.')}, and a policy needs ${LEAST_NFT.join('.')} or later: nothing passes where there is one.`;
    said.push(problem('programs', text, 'apt install nftables'));
  }
  try {
    loadAddon();
  } catch (error) {
    said.push(problem('programs', (error as Error).message));
  }
  if (said.length > 0) return said;
  return [ok('programs', `nft ${nft?.join('.')}; the addon is for this machine.`)];
}

/** Numbers of the first version in what a program says of itself; undefined = it is not there. */
async function versionOf(file: string, args: readonly string[]): Promise<number[] | undefined> {
  const said = await tryCommand(file, args).catch(() => undefined);
  if (said === undefined) return undefined;
  const version = /(\d+(?:\.\d+)+)/.exec(said.stdout)?.[1] ?? '';
  return version.split('.').map(Number);
}

export function isOlder(version: readonly number[], least: readonly number[]): boolean {
  for (const [i, number] of least.entries()) {
    const have = version[i] ?? 0;
    if (have !== number) return have < number;
  }
  return false;
}

function isCapable(): boolean {
  const effective = /^CapEff:\s*([0-9a-f]+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
  return ((BigInt(`0x${effective ?? '0'}`) >> CAP_NET_ADMIN) & 1n) === 1n;
}

function checkPermission(): Finding {
  if (isCapable()) return ok('permission', 'CAP_NET_ADMIN is there.');
  const text =
    'Without CAP_NET_ADMIN no interface, route or rule can be made, and not everything can be looked at here: run this as root.';
  return problem('permission', text, 'sudo connector doctor');
}

async function checkTun(): Promise<Finding> {
  const there = await stat(TUN).catch(() => undefined);
  if (there === undefined) {
    const says = `There is no ${TUN}: no interface can be made. In a container, hand the device in (\`--device ${TUN}\`).`;
    const fix = { command: ['modprobe', 'tun'], undo: ['modprobe', '-r', 'tun'] };
    return fixable(problem('tun', says), [fix]);
  }
  const refusal = tunRefusal();
  if (refusal === undefined) return ok('tun', `${TUN} is there.`);
  // Whoever may not make interfaces either is not who runs the gateway.
  return isCapable() ? problem('tun', refusal) : skipped('tun', refusal);
}
