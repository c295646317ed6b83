/**
 * The registry of a data directory, with what the operator has said about the edge.
 *
 * Of a new directory the registry is made first, before settings and keys: so a directory that has
 * those and no registry has lost it, and is not one whose first start broke off.
 */
import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { openSqliteStore } from '../control/node/sqlite-store.ts';
import { Registry } from '../control/registry/registry.ts';
import type { Store } from '../control/store.ts';
import { CausewayError } from '../errors.ts';
import type { AuditLog } from './audit-log.ts';
import type { DataDirectory } from './data-directory.ts';
import { registerMesh } from './registration.ts';
import { readSettings, type Settings, type SettingsChange, writeSettings } from './settings.ts';

const REGISTRY_FILE = 'registry.db';
const SETTINGS_FILE = 'edge.json';
/** What an edge leaves of itself at its first start. */
const TRACES = [SETTINGS_FILE, 'edge.key', 'tls.key'];

export interface OpenRegistryOptions {
  readonly settings: SettingsChange;
  /** An edge that lost its registry begins a new one: none of its gateways is known in it. */
  readonly newRegistry?: boolean | undefined;
  readonly audit: AuditLog;
  /** Hears of what makes it impossible to go on. */
  readonly onFailure: (error: unknown) => void;
}

export interface OpenedRegistry {
  readonly registry: Registry;
  readonly store: Store;
  readonly settings: Settings;
  /** To be called when everything has proved good: a start that fails leaves no settings behind. */
  readonly keepSettings: () => Promise<void>;
}

/**
 * Registry and store are the caller's to close.
 *
 * @throws CausewayError REGISTRY_MISSING, CONFIG_VALUE, VALUE_INVALID, FILE_ACCESS, STORE_*; nothing
 *   is made or changed then
 */
export async function openRegistry(
  directory: DataDirectory,
  { settings: change, newRegistry = false, audit, onFailure }: OpenRegistryOptions,
): Promise<OpenedRegistry> {
  const settingsPath = directory.file(SETTINGS_FILE);
  const path = directory.file(REGISTRY_FILE);
  const settings = await readSettings(settingsPath, change);
  const mayBegin = newRegistry || !TRACES.some((file) => existsSync(directory.file(file)));
  if (!mayBegin && !existsSync(path)) throw missing(path);
  const store = openSqliteStore(path);
  let registry: Registry | undefined;
  try {
    registry = await Registry.open(store, onFailure);
    if (!mayBegin && !registry.view.initialized) throw missing(path);
    await registerMesh({ registry, audit }, settings, change.meshIpv4);
    const keepSettings = (): Promise<void> => writeSettings(settingsPath, settings);
    return { registry, store, settings, keepSettings };
  } catch (error) {
    registry?.close();
    await store.close();
    throw error;
  }
}

function missing(path: string): CausewayError {
  return new CausewayError(
    'REGISTRY_MISSING',
    `${path} is missing or empty, and an edge was here before: restore its backup; or, if every gateway is to join anew, run \`connector edge init --new-registry --data ${dirname(path)}\`.`,
  );
}
