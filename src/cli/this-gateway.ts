/** The gateway on this host that a command speaks of. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { DEFAULT_DATA_DIRECTORY, SOCKET_NAME } from '../edge/paths.ts';
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
  // On the edge's host this is asked by mistake.
  const hasEdge = existsSync(join(DEFAULT_DATA_DIRECTORY, SOCKET_NAME));
  const edge = hasEdge ? ' The edge here is another thing: `connector edge status`.' : '';
  const message = `No gateway runs ${where}: start it with \`connector up\`.${edge}`;
  throw new CausewayError('INTERFACE_MISSING', message);
}
