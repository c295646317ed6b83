/** What both `down` commands do: end the daemon of this network namespace, and see that nothing is left. */
import { CausewayError } from '../errors.ts';
import type { DaemonKind } from './daemon-kind.ts';
import { requestStop } from './local-client.ts';
import { readState, reclaimSetup } from './setup-state.ts';

/**
 * Ends the daemon of an interface in our own network namespace and waits until everything is removed;
 * where none runs, removes what one that was killed left. False if there is neither.
 *
 * @throws CausewayError PERMISSION; INTERFACE_MISSING when a daemon of the other kind runs there, which is
 *   left alone; COMMAND_FAILED when the daemon ended without removing everything
 */
export async function takeDown(interfaceName: string, kind: DaemonKind): Promise<boolean> {
  if (!(await requestStop(interfaceName, kind))) return reclaimSetup(interfaceName);
  if ((await readState(interfaceName)) === undefined) return true;
  throw new CausewayError(
    'COMMAND_FAILED',
    `The daemon of ${interfaceName} ended, but not all that it added to the system is gone: run this again to remove the rest; its log says what went wrong.`,
  );
}
