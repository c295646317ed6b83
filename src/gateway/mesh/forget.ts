/** Gives up who this host was: identity, key and netmap. The edge keeps the replica until it is told. */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { CausewayError } from '../../errors.ts';
import { IDENTITY_FILE, KEY_FILE, removeIdentity } from './identity.ts';
import { removeNetmap } from './netmap-cache.ts';
import { openStateDirectory } from './state-directory.ts';

/**
 * @throws CausewayError NOT_ENROLLED if there is none; DIRECTORY_IN_USE while a gateway runs with it; as
 *   `openStateDirectory`
 */
export async function forgetIdentity(given: string): Promise<void> {
  // Not made for the purpose.
  if (!existsSync(given)) throw nobody(given);
  const state = await openStateDirectory(given);
  try {
    const found = [await state.read(IDENTITY_FILE), await state.read(KEY_FILE)];
    if (found.every((text) => text === undefined)) throw nobody(given);
    await removeIdentity(state);
    await removeNetmap(state);
  } finally {
    await state.close();
  }
}

function nobody(given: string): CausewayError {
  const message = `There is no identity in ${resolve(given)} to give up: name the --state-dir of the gateway if it has another one.`;
  return new CausewayError('NOT_ENROLLED', message);
}
