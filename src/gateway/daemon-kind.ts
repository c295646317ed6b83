/**
 * Whether a daemon is a gateway of the mesh or a plain tunnel. Each kind has its own `down`: who names an
 * interface by mistake ends nothing of the other kind, and is told the command that would.
 */
import { CausewayError } from '../errors.ts';

export type DaemonKind = 'gateway' | 'tunnel';

const OTHERS: Readonly<Record<DaemonKind, (interfaceName: string) => string>> = {
  gateway: (name) =>
    `No tunnel ${name} is up, but a gateway of the mesh runs there: \`connector down --interface ${name}\` ends it.`,
  tunnel: (name) =>
    `No gateway runs on ${name}, but a tunnel does: \`connector tunnel down ${name}\` ends it.`,
};

/**
 * @param meant by whoever asks for the end; undefined = whatever runs there
 * @throws CausewayError INTERFACE_MISSING when it is not what runs on the interface
 */
export function refuseOther(meant: unknown, kind: DaemonKind, interfaceName: string): void {
  if (meant === undefined || meant === kind) return;
  throw new CausewayError('INTERFACE_MISSING', OTHERS[kind](interfaceName));
}
