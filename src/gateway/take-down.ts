/** What both `down` commands do: end the daemon of this network namespace, and see that nothing is left. */
import { CausewayError } from '../errors.ts';
import { FORWARDING, readSysctl } from '../tun/sysctl.ts';
import type { DaemonKind } from './daemon-kind.ts';
import { requestStop } from './local-client.ts';
import { readState, reclaimSetup, type SetupState, settingsOfNeighbours } from './setup-state.ts';

/**
 * Ends the daemon of an interface in our own network namespace and waits until everything is removed;
 * where none runs, removes what one that was killed left. False if there is neither.
 *
 * @throws CausewayError PERMISSION; INTERFACE_MISSING when a daemon of the other kind runs there, which is
 *   left alone; COMMAND_FAILED when the daemon ended without removing everything
 * @param onWarning called with a sentence for each setting that is not as it was before
 */
export async function takeDown(
  interfaceName: string,
  kind: DaemonKind,
  onWarning: (message: string) => void,
): Promise<boolean> {
  const noted = await readState(interfaceName);
  const ran = await requestStop(interfaceName, kind);
  if (!ran && !(await reclaimSetup(interfaceName))) return false;
  if (ran && (await readState(interfaceName)) !== undefined) {
    throw new CausewayError(
      'COMMAND_FAILED',
      `The daemon of ${interfaceName} ended, but not all that it added to the system is gone: run this again to remove the rest; its log says what went wrong.`,
    );
  }
  for (const setting of await leftOn(interfaceName, noted)) {
    onWarning(
      `${setting} was 0 and stays 1: rules that masquerade came meanwhile, so another program (Docker, libvirt) forwards here. If none does: \`sysctl -w ${setting}=0\`.`,
    );
  }
  return true;
}

/** What switches forwarding and was off before the tunnel, if it is on and no other tunnel needs it. */
async function leftOn(interfaceName: string, noted: SetupState | undefined): Promise<string[]> {
  const { sysctls = {}, unforwarded = [] } = noted ?? {};
  if (unforwarded.length === 0) return [];
  // With the last tunnel the directory goes, too.
  const needed = await settingsOfNeighbours(interfaceName).catch(() => new Set());
  const left: string[] = [];
  for (const family of unforwarded) {
    const setting = FORWARDING[family];
    if (sysctls[setting] !== '0' || needed.has(setting)) continue;
    if ((await readSysctl(setting)) === '1') left.push(setting.replaceAll('/', '.'));
  }
  return left;
}
