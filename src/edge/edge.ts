/**
 * A running edge: the registry, the relay and the API, opened in the order in which they need each
 * other and closed in the opposite one, on every way out. The relay comes as early as it can: what it
 * does not need to forward is loaded and opened after it.
 */
import { join } from 'node:path';
import type { Logger } from 'pino';
import { NetmapIndex } from '../control/netmap-index.ts';
import type { ApiServer } from './api/api-server.ts';
import { AuditLog } from './audit-log.ts';
import { loadEdgeKey, openDataDirectory } from './data-directory.ts';
import { listenTls, listenUnix } from './listeners.ts';
import { NetmapStreams } from './netmap-streams.ts';
import { EdgeCertificates } from './next-certificate.ts';
import { openRegistry } from './open-registry.ts';
import { SOCKET_NAME } from './paths.ts';
import { Presence } from './presence.ts';
import { publicAddresses } from './public-addresses.ts';
import { registerEdge } from './registration.ts';
import type { RelayOptions, RelayProcess } from './relay/relay.ts';
import { RelayLink, relayReplicas } from './relay-link.ts';
import { RelayPolicy } from './relay-policy.ts';
import type { SettingsChange } from './settings.ts';

export interface EdgeOptions {
  readonly directory: string;
  /** What the operator says now; kept for the next start. */
  readonly settings: SettingsChange;
  readonly version: string;
  readonly log: Logger;
  readonly openRelay: (options: RelayOptions) => Promise<RelayProcess>;
  /** How long a predecessor that is just ending is waited for, in ms. */
  readonly patience?: number;
}

export interface RunningEdge {
  /** Of the API, in fact. */
  readonly port: number;
  readonly relayPort: number;
  readonly socketPath: string;
  readonly urls: readonly string[];
  /** At the start; hexadecimal, null = an authority vouches for the certificate. */
  readonly tlsPin: string | null;
  /** Resolves when it cannot go on: with what failed. Never after `close`. */
  readonly failed: Promise<unknown>;
  /** Resolves when the relay's worker has answered. */
  answers(): Promise<void>;
  /** One line for people. */
  summary(): string;
  /** Harmless when called again. */
  close(): Promise<void>;
}

/**
 * Resolves when the API answers and the relay forwards.
 *
 * @throws CausewayError what kept it from starting; nothing is left running then
 */
export async function openEdge(options: EdgeOptions): Promise<RunningEdge> {
  const { log } = options;
  const opened: (() => unknown)[] = [];
  const own = <T>(resource: T, close: (resource: T) => unknown): T => {
    opened.push(() => close(resource));
    return resource;
  };
  const close = async (): Promise<void> => {
    for (let last = opened.pop(); last !== undefined; last = opened.pop()) {
      try {
        await last();
      } catch (error) {
        log.error({ error }, 'a part of the edge did not close');
      }
    }
  };
  try {
    return { ...(await open(options, own)), close };
  } catch (error) {
    await close();
    throw error;
  }
}

type Own = <T>(resource: T, close: (resource: T) => unknown) => T;

async function open(options: EdgeOptions, own: Own): Promise<Omit<RunningEdge, 'close'>> {
  const { log, version } = options;
  const { promise: failed, resolve: fail } = Promise.withResolvers<unknown>();
  const started = Date.now();
  const directory = own(await openDataDirectory(options.directory, options.patience), (held) =>
    held.close(),
  );
  const onFailure = (error: unknown, record: string): void =>
    log.error({ err: error, record }, 'the audit log cannot be written');
  const audit = own(new AuditLog(directory.file('audit.jsonl'), { onFailure }), (held) =>
    held.close(),
  );
  const { registry, store, settings, keepSettings } = own(
    await openRegistry(directory, { settings: options.settings, audit, onFailure: fail }),
    async (held) => {
      held.registry.close();
      await held.store.close();
    },
  );
  const privateKey = await loadEdgeKey(directory);
  const { view } = registry;
  const relay = own(
    await options.openRelay({
      port: settings.relayPort,
      privateKey,
      bindingsFile: directory.file('bindings'),
      replicas: relayReplicas(view),
      log,
    }),
    (held) => held.close(),
  );
  void relay.closed.then((error) => error !== undefined && fail(error));
  own(new RelayPolicy(registry, relay), (held) => held.close());
  const relayLink = own(new RelayLink(registry, relay, log), (held) => held.close());

  const index = new NetmapIndex(view, registry.takeHistory());
  const streams = own(new NetmapStreams(index), (held) => held.close());
  registry.onChange((events, revision) => streams.publish(index.update(events, revision)));
  const hosts = publicAddresses(settings, { api: 0, relay: 0 }).hosts;
  const certificates = await EdgeCertificates.open({
    directory: directory.path,
    files: settings.certificate,
    names: hosts,
    now: () => new Date(),
  });
  // The port is part of what the API says of itself: requests that come early wait for the rest.
  const { promise: ready, resolve: serve } = Promise.withResolvers<ApiServer>();
  const listener = own(
    await listenTls(settings.listen, certificates.current, (request, response) => {
      void ready.then((api) => api.handle(request, response));
    }),
    (held) => held.close(),
  );
  certificates.onSwitch = (next) => listener.useCertificate(next);

  const addresses = publicAddresses(settings, { api: listener.port, relay: relay.port });
  if (addresses.warning !== undefined) log.warn(addresses.warning);
  const edge = await registerEdge(
    { registry, audit },
    {
      name: settings.name,
      publicKey: relay.publicKey,
      endpoints: addresses.endpoints,
      urls: addresses.urls,
      ...certificates.pins,
    },
  );
  const presence = own(
    await Presence.open({
      registry,
      audit,
      relay,
      edge: edge.id,
      file: directory.file('presence.json'),
      log,
      now: Date.now,
    }),
    (held) => held.close(),
  );
  // Half of all the code there is.
  const { openApi } = await import('./open-api.ts');
  const api = own(
    await openApi(
      {
        registry,
        audit,
        presence,
        index,
        streams,
        relay,
        relayLink,
        certificates,
        edge: edge.id,
        version,
        started,
      },
      { store, privateKey, log },
    ),
    (held) => held.close(),
  );
  serve(api);
  const socketPath = join(directory.path, SOCKET_NAME);
  own(await listenUnix(socketPath, api.handleLocal), (held) => held.close());
  await keepSettings();
  return {
    port: listener.port,
    relayPort: relay.port,
    socketPath,
    urls: addresses.urls,
    tlsPin: certificates.current.pin,
    failed,
    answers: () => relay.setReplicas([]),
    summary: () => `${relay.statistics().bound} of ${view.replicas.size} gateways bound`,
  };
}
