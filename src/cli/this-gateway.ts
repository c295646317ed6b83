/** The gateway on this host that a command speaks of. */
import { CausewayError } from '../errors.ts';
import type { MeshStatus } from '../gateway/mesh/mesh-status.ts';
import { checkInterfaceName } from '../tun/interface-name.ts';

/**
 * Status of the gateways that run here, or of the one on that interface.
 *
 * @throws CausewayError INTERFACE_MISSING when none does
 */
export async function runningGateways(interfaceName?: string): Promise<MeshStatus[]> {
  if (interfaceName !== undefined) checkInterfaceName(interfaceName);
  const { requestAllMeshes, requestMesh } = await import('../gateway/local-client.ts');
  if (interfaceName === undefined) {
    const all = await requestAllMeshes();
    if (all.length > 0) return all;
  } else {
    const one = await requestMesh(interfaceName);
    if (one !== undefined) return [one];
  }
  const where = interfaceName === undefined ? 'on this host' : `on ${interfaceName}`;
  const message = `No gateway runs ${where}: start it with \`connector up\`.`;
  throw new CausewayError('INTERFACE_MISSING', message);
}
