/**
 * Host names of endpoints into addresses. A name server that does not answer yet, as early in a
 * boot, is asked again for a while; a name that does not exist is an error at once.
 */
import { lookup } from 'node:dns/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { CausewayError } from '../errors.ts';
import type { PeerEndpoint } from '../wireguard/configuration.ts';
import { endpointOf, type HostAndPort, type InterfaceIndexOf } from './endpoint-text.ts';

/** Waits between attempts, milliseconds: half a minute in all. */
const RETRY_AFTER = [500, 1_000, 2_000, 4_000, 8_000, 16_000];

/**
 * The first address of the host, in the order that the system prefers.
 *
 * @param where file and line, for the error
 * @throws CausewayError CONFIG_VALUE
 */
export async function resolveEndpoint(
  { host, port }: HostAndPort,
  where: string,
  interfaceIndexOf: InterfaceIndexOf,
  signal?: AbortSignal,
): Promise<PeerEndpoint> {
  const literal = endpointOf(host, port, interfaceIndexOf);
  if (literal !== undefined) return literal;
  for (let attempt = 0; ; attempt++) {
    try {
      const { address } = await lookup(host, { order: 'verbatim' });
      const endpoint = endpointOf(address, port, interfaceIndexOf);
      if (endpoint !== undefined) return endpoint;
      throw new Error(`it gave ${address}`);
    } catch (error) {
      const wait = RETRY_AFTER[attempt];
      const { code, message } = error as NodeJS.ErrnoException;
      if (code !== 'EAI_AGAIN' || wait === undefined || signal?.aborted) {
        const reason = code === 'ENOTFOUND' ? 'there is no such host' : message;
        throw new CausewayError(
          'CONFIG_VALUE',
          `${where}: Endpoint ${host} cannot be resolved (${reason}): check the name, or write its address.`,
          { cause: error },
        );
      }
      await delay(wait, undefined, signal === undefined ? {} : { signal }).catch(() => {});
    }
  }
}
