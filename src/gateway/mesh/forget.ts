/** Gives up who this host was: identity, key and netmap. The edge keeps the replica until it is told. */
import { removeIdentity } from './identity.ts';
import { removeNetmap } from './netmap-cache.ts';
import { openStateDirectory } from './state-directory.ts';

/** @throws CausewayError DIRECTORY_IN_USE while a gateway runs with it; as `openStateDirectory` */
export async function forgetIdentity(directory: string): Promise<void> {
  const state = await openStateDirectory(directory);
  try {
    await removeIdentity(state);
    await removeNetmap(state);
  } finally {
    await state.close();
  }
}
