/** The secrets of this host that are to be found anywhere, read so that they can be taken out. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { keyFromBase64 } from '../../keys.ts';
import { IDENTITY_FILE, KEY_FILE } from '../mesh/identity.ts';
import { formsOfKey, type Secret } from './redaction.ts';

export interface SecretPlaces {
  readonly stateDirectory: string;
  /** Files that hold a secret and nothing else, as a join token. */
  readonly files: readonly string[];
  /** Files with private keys of WireGuard in lines, as those of wg-quick. */
  readonly configurations: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** As far as they can be read; who may not read them cannot put them into the report either. */
export async function ownSecrets(places: SecretPlaces): Promise<Secret[]> {
  const { stateDirectory, files, configurations, environment } = places;
  const found: Secret[] = [];
  const key = keyFromBase64((await read(join(stateDirectory, KEY_FILE))).trim());
  if (key !== undefined) found.push(...formsOfKey('private key', key));
  const identity = await read(join(stateDirectory, IDENTITY_FILE));
  const credential = /"credential"\s*:\s*"([^"]+)"/.exec(identity)?.[1];
  if (credential !== undefined) found.push({ what: 'credential', value: credential });
  for (const file of files) {
    const value = (await read(file)).trim();
    // A file with more than that is no secret by itself.
    if (value !== '' && !/\s/.test(value)) found.push(...keyOrText(value));
  }
  for (const file of configurations) {
    for (const [, value] of (await read(file)).matchAll(
      /^\s*(?:PrivateKey|PresharedKey)\s*=\s*(\S+)/gim,
    )) {
      found.push(...keyOrText(value!));
    }
  }
  for (const [name, value] of Object.entries(environment)) {
    const isSecret = /token|secret|password|passwd|credential|key$/i.test(name);
    if (isSecret && value !== undefined) found.push({ what: 'secret', value });
  }
  return found;
}

function keyOrText(value: string): Secret[] {
  const key = keyFromBase64(value);
  return key === undefined ? [{ what: 'secret', value }] : formsOfKey('private key', key);
}

async function read(file: string): Promise<string> {
  return readFile(file, 'utf8').catch(() => '');
}
