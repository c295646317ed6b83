/**
 * The last netmap on disk, with the addresses that the edges' host names had: all that is needed to
 * come up when no edge and no name server answers. One that does not validate counts as none.
 */
import { z } from 'zod';
import { netmapIdSchema } from '../../control/api.ts';
import { type Netmap, receivedNetmapSchema } from '../../control/netmap.ts';
import { netmapFault } from '../../control/netmap-text.ts';
import type { Log } from '../log.ts';
import type { StateDirectory } from './state-directory.ts';

export const NETMAP_FILE = 'netmap.json';

const cacheSchema = z.object({
  netmap: receivedNetmapSchema,
  /** `HOST:PORT` of an edge → `ADDRESS:PORT`, several with a space between. */
  resolved: z.record(z.string().max(300), z.string().max(512)),
  /** The edge's name for the netmap; without it, a whole one is asked for. */
  id: netmapIdSchema.optional(),
});

export interface CachedNetmap {
  readonly netmap: Netmap;
  readonly resolved: Readonly<Record<string, string>>;
  readonly id?: string | undefined;
}

/** @throws CausewayError PERMISSION, FILE_ACCESS */
export async function loadNetmap(
  state: Pick<StateDirectory, 'path' | 'read'>,
  log: Log,
): Promise<CachedNetmap | undefined> {
  const text = await state.read(NETMAP_FILE);
  if (text === undefined) return undefined;
  try {
    const cached = cacheSchema.parse(JSON.parse(text));
    const fault = netmapFault(cached.netmap);
    if (fault === undefined) return cached;
    throw new Error(fault);
  } catch (error) {
    log.warn({ err: error }, `${state.path}/${NETMAP_FILE} is damaged and not used`);
    return undefined;
  }
}

/** @throws CausewayError PERMISSION, FILE_ACCESS */
export async function saveNetmap(state: StateDirectory, cached: CachedNetmap): Promise<void> {
  await state.write(NETMAP_FILE, JSON.stringify(cached));
}

export async function removeNetmap(state: StateDirectory): Promise<void> {
  await state.remove(NETMAP_FILE);
}
