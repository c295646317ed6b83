/** Tells the relay which pairs of replicas no rule of their network's policy can ever allow. */
import type { VnetId } from '../control/model.ts';
import { reachablePairs } from '../control/policy/reachable-pairs.ts';
import type { RegistryEvent } from '../control/registry/objects.ts';
import { ownersInVnet, policyInForce } from '../control/registry/policy-in-force.ts';
import type { Registry } from '../control/registry/registry.ts';
import type { RegistryView } from '../control/registry/view.ts';
import type { PairClasses } from '../control/relay/pair-permissions.ts';
import type { RelayProcess } from './relay/relay.ts';

/** Changes of so many ms are told at once: the connectors enforce them meanwhile. */
const TELL_AFTER = 500;

export class RelayPolicy {
  readonly #view: RegistryView;
  readonly #relay: Pick<RelayProcess, 'setPairs'>;
  readonly #stop: () => void;
  readonly #changed = new Set<VnetId>();
  /** The relay has a restriction for these. */
  readonly #restricted = new Set<VnetId>();
  #timer: NodeJS.Timeout | undefined;

  constructor(registry: Registry, relay: Pick<RelayProcess, 'setPairs'>) {
    this.#view = registry.view;
    this.#relay = relay;
    this.#stop = registry.onChange((events) => this.#take(events));
    for (const vnet of this.#view.vnets.keys()) this.#tell(vnet);
  }

  close(): void {
    this.#stop();
    clearTimeout(this.#timer);
  }

  #take(events: readonly RegistryEvent[]): void {
    for (const { kind, before, after } of events) {
      if (kind !== 'policy' && kind !== 'connector' && kind !== 'route' && kind !== 'replica')
        continue;
      this.#changed.add((after ?? before)!.vnet);
    }
    if (this.#changed.size === 0) return;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      const changed = [...this.#changed];
      this.#changed.clear();
      for (const vnet of changed) this.#tell(vnet);
    }, TELL_AFTER).unref();
  }

  #tell(vnet: VnetId): void {
    const pairs = pairClasses(this.#view, vnet);
    if (pairs === undefined && !this.#restricted.has(vnet)) return;
    if (pairs === undefined) this.#restricted.delete(vnet);
    else this.#restricted.add(vnet);
    this.#relay.setPairs(vnet, pairs);
  }
}

/** Undefined: every pair of the network may exchange messages. */
export function pairClasses(view: RegistryView, vnet: VnetId): PairClasses | undefined {
  const policy = policyInForce(view, vnet);
  if (policy === undefined) return undefined;
  const connectors = view.connectorsIn(vnet);
  const pairs = reachablePairs(policy, ownersInVnet(view, vnet), connectors.keys());
  if (pairs === undefined) return undefined;
  const classes = [...connectors.values()].flatMap(({ id }) => {
    const at = pairs.classes.get(id)!;
    return [...view.replicasOf(id).values()].map(({ relayId }) => [relayId, at] as const);
  });
  return { classes, rows: pairs.rows };
}
