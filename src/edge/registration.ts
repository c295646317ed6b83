/** What an edge writes into the registry about itself at each start. */
import { randomBytes } from 'node:crypto';
import { GLOBAL_ID_SIZE } from '../control/mesh.ts';
import type { Edge, Head } from '../control/model.ts';
import { putEdge } from '../control/registry/edges.ts';
import { initializeRegistry } from '../control/registry/vnets.ts';
import { CausewayError } from '../errors.ts';
import { keyToBase64 } from '../keys.ts';
import { changeByEdge, type EdgeServices } from './services.ts';
import type { Settings } from './settings.ts';

/**
 * The mesh ranges and the default virtual network, on the first start.
 *
 * @param given the range that the operator names now
 * @throws CausewayError VALUE_INVALID; CONFIG_VALUE if the mesh has another range already
 */
export async function registerMesh(
  services: Pick<EdgeServices, 'registry' | 'audit'>,
  { meshIpv4 }: Pick<Settings, 'meshIpv4'>,
  given: string | null | undefined,
): Promise<Head> {
  const globalId = new Uint8Array(randomBytes(GLOBAL_ID_SIZE));
  const { result } = await changeByEdge(services, (view, context) =>
    initializeRegistry(view, { globalId, meshIpv4: meshIpv4 ?? undefined }, context),
  );
  if (given && given !== result.meshIpv4) {
    const message = `The mesh has its addresses from ${result.meshIpv4} since the first start, and that does not change: leave --mesh-range out.`;
    throw new CausewayError('CONFIG_VALUE', message);
  }
  return result;
}

export interface EdgeRegistration {
  readonly name: string;
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
  readonly endpoints: readonly string[];
  readonly urls: readonly string[];
  readonly tlsPin: string | null;
  readonly nextTlsPin: string | null | undefined;
}

/** Nothing is written if it is what the registry has already. */
export async function registerEdge(
  services: Pick<EdgeServices, 'registry' | 'audit'>,
  registration: EdgeRegistration,
): Promise<Edge> {
  const publicKey = keyToBase64(registration.publicKey);
  const { result } = await changeByEdge(services, (view, context) =>
    putEdge(view, { ...registration, publicKey }, context),
  );
  return result;
}
