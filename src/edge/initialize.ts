/** An edge made without being started: everything that a first `edge run` would make. */
import { fileError } from '../control/node/private-file.ts';
import { KEY_SIZE, keyToBase64 } from '../keys.ts';
import { noblePrimitives } from '../wireguard/noble-primitives.ts';
import { AuditLog } from './audit-log.ts';
import { loadEdgeKey, openDataDirectory } from './data-directory.ts';
import { EdgeCertificates } from './next-certificate.ts';
import { openRegistry } from './open-registry.ts';
import { publicAddresses } from './public-addresses.ts';
import { registerEdge } from './registration.ts';
import type { SettingsChange } from './settings.ts';

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
 * @param newRegistry begins one where an edge has lost its own
 * @throws CausewayError DIRECTORY_IN_USE, REGISTRY_MISSING, FILE_ACCESS, CONFIG_VALUE, CERTIFICATE, STORE_*, VALUE_INVALID
 */
export async function initializeEdge(
  path: string,
  change: SettingsChange,
  { newRegistry = false }: { readonly newRegistry?: boolean } = {},
): Promise<InitializedEdge> {
  const directory = await openDataDirectory(path);
  try {
    const failures: unknown[] = [];
    const onFailure = (error: unknown): unknown => failures.push(error);
    const audit = new AuditLog(directory.file('audit.jsonl'), { onFailure });
    const { registry, store, settings, keepSettings } = await openRegistry(directory, {
      settings: change,
      newRegistry,
      audit,
      onFailure: () => {},
    });
    try {
      const ports = { api: settings.listen.port, relay: settings.relayPort };
      const { hosts, endpoints, urls, warning } = publicAddresses(settings, ports);
      const publicKey = new Uint8Array(KEY_SIZE);
      noblePrimitives.x25519Base(publicKey, await loadEdgeKey(directory));
      const { certificate: files, name } = settings;
      const { pins } = await EdgeCertificates.open({
        directory: directory.path,
        files,
        names: hosts,
        now: () => new Date(),
      });
      // With a port that the kernel will choose, nobody can be told yet where the edge is.
      if (ports.api !== 0 && ports.relay !== 0) {
        const registration = { name, publicKey, endpoints, urls, ...pins };
        await registerEdge({ registry, audit }, registration);
      }
      await keepSettings();
      if (failures.length > 0) {
        throw fileError(failures[0], directory.file('audit.jsonl'), 'written');
      }
      const { meshIpv4, meshIpv6 } = registry.view.head;
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
      registry.close();
      await store.close();
    }
  } finally {
    directory.close();
  }
}
