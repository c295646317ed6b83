/** An edge made without being started: everything that a first `edge run` would make. */

import { fileError } from '../control/node/private-file.ts';
import { openSqliteStore } from '../control/node/sqlite-store.ts';
import { Registry } from '../control/registry/registry.ts';
import { KEY_SIZE, keyToBase64 } from '../keys.ts';
import { noblePrimitives } from '../wireguard/noble-primitives.ts';
import { AuditLog } from './audit-log.ts';
import { loadEdgeKey, openDataDirectory } from './data-directory.ts';
import { EdgeCertificates } from './next-certificate.ts';
import { publicAddresses } from './public-addresses.ts';
import { registerEdge, registerMesh } from './registration.ts';
import { type SettingsChange, updateSettings } from './settings.ts';

export interface InitializedEdge {
  readonly directory: string;
  readonly publicKey: string;
  readonly endpoints: readonly string[];
  readonly urls: readonly string[];
  readonly tlsPin: string | null;
  readonly meshIpv4: string;
  readonly meshIpv6: string;
  /** What the operator should know of these addresses. */
  readonly warning: string | undefined;
}

/**
 * May be called again: what is there stays.
 *
 * @throws CausewayError DIRECTORY_IN_USE, FILE_ACCESS, CONFIG_VALUE, CERTIFICATE, STORE_*, VALUE_INVALID
 */
export async function initializeEdge(
  path: string,
  change: SettingsChange,
): Promise<InitializedEdge> {
  const directory = await openDataDirectory(path);
  try {
    const settings = await updateSettings(directory.file('edge.json'), change);
    const ports = { api: settings.listen.port, relay: settings.relayPort };
    const { hosts, endpoints, urls, warning } = publicAddresses(settings, ports);
    const publicKey = new Uint8Array(KEY_SIZE);
    noblePrimitives.x25519Base(publicKey, await loadEdgeKey(directory));
    const { pins } = await EdgeCertificates.open({
      directory: directory.path,
      files: settings.certificate,
      names: hosts,
      now: () => new Date(),
    });
    const store = openSqliteStore(directory.file('registry.db'));
    try {
      const registry = await Registry.open(store, () => {});
      const failures: unknown[] = [];
      const onFailure = (error: unknown): unknown => failures.push(error);
      const audit = new AuditLog(directory.file('audit.jsonl'), { onFailure });
      const services = { registry, audit };
      const { meshIpv4, meshIpv6 } = await registerMesh(services, settings);
      // With a port that the kernel will choose, nobody can be told yet where the edge is.
      if (ports.api !== 0 && ports.relay !== 0) {
        const { name } = settings;
        await registerEdge(services, { name, publicKey, endpoints, urls, ...pins });
      }
      registry.close();
      if (failures.length > 0)
        throw fileError(failures[0], directory.file('audit.jsonl'), 'written');
      return {
        directory: directory.path,
        publicKey: keyToBase64(publicKey),
        endpoints,
        urls,
        tlsPin: pins.tlsPin,
        meshIpv4,
        meshIpv6,
        warning,
      };
    } finally {
      await store.close();
    }
  } finally {
    directory.close();
  }
}
