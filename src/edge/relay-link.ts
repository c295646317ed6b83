/** Tells the relay which replicas there are: all at its start, then every change of the registry. */
import type { Logger } from 'pino';
import type { Replica } from '../control/model.ts';
import type { RegistryEvent } from '../control/registry/objects.ts';
import type { Registry } from '../control/registry/registry.ts';
import type { RegistryView } from '../control/registry/view.ts';
import { keyFromBase64 } from '../keys.ts';
import type { RelayProcess, RelayReplica, RelayReplicaChange } from './relay/relay.ts';

export function relayReplicas(view: RegistryView): RelayReplica[] {
  return [...view.replicas.values()].map(relayReplica);
}

export class RelayLink {
  readonly #relay: Pick<RelayProcess, 'setReplicas'>;
  readonly #stop: () => void;
  #settled: Promise<void> = Promise.resolve();

  constructor(registry: Registry, relay: Pick<RelayProcess, 'setReplicas'>, log: Logger) {
    this.#relay = relay;
    this.#stop = registry.onChange((events) => {
      const changes = relayChanges(events);
      if (changes.length === 0) return;
      this.#settled = this.#relay.setReplicas(changes).catch((error: unknown) => {
        log.error({ error }, 'the relay did not take a change of the registry');
      });
    });
  }

  /** Resolves when the relay has what the registry has now. */
  settled(): Promise<void> {
    return this.#settled;
  }

  close(): void {
    this.#stop();
  }
}

/** Only what the relay knows of a replica; removals first, because relay ids may be given anew. */
export function relayChanges(events: readonly RegistryEvent[]): RelayReplicaChange[] {
  const removals: RelayReplicaChange[] = [];
  const others: RelayReplicaChange[] = [];
  for (const { kind, before, after } of events) {
    if (kind !== 'replica') continue;
    if (after === undefined) removals.push({ relayId: before!.relayId, remove: true });
    else if (
      before?.publicKey !== after.publicKey ||
      before.vnet !== after.vnet ||
      before.relayId !== after.relayId
    ) {
      others.push(relayReplica(after));
    }
  }
  return [...removals, ...others];
}

function relayReplica({ relayId, publicKey, vnet }: Replica): RelayReplica {
  return { relayId, publicKey: keyFromBase64(publicKey)!, vnet };
}
