/** A registry in memory with a clock and ids that count, for tests. */
import { MemoryStore } from '../../../src/control/memory-store.ts';
import type { ConnectorId, Replica } from '../../../src/control/model.ts';
import {
  type CreateConnectorInput,
  createConnector,
} from '../../../src/control/registry/connectors.ts';
import type { Plan, RuleContext } from '../../../src/control/registry/draft.ts';
import { type Changed, Registry } from '../../../src/control/registry/registry.ts';
import { enrolReplica } from '../../../src/control/registry/replicas.ts';
import type { RegistryView } from '../../../src/control/registry/view.ts';
import { initializeRegistry } from '../../../src/control/registry/vnets.ts';
import { hashSecret } from '../../../src/control/secrets.ts';
import type { Store } from '../../../src/control/store.ts';

/** A UUID that counts. */
export function uuid(n: number): string {
  return `00000000-0000-4000-8000-${n.toString(16).padStart(12, '0')}`;
}

/** A public key, or the bytes of a secret, of that number. */
export function bytesOf(n: number, size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  new DataView(bytes.buffer).setUint32(0, n);
  return bytes;
}

export function keyText(n: number): string {
  return Buffer.from(bytesOf(n, 32)).toString('base64');
}

export class RegistryWorld {
  readonly registry: Registry;
  readonly store: Store;
  now = 1_000;
  ids = 0;
  readonly context: RuleContext = this as never;

  private constructor(registry: Registry, store: Store) {
    this.registry = registry;
    this.store = store;
    const world = this;
    this.context = {
      get now() {
        return world.now;
      },
      newId: () => uuid(++world.ids),
    };
  }

  static async open(store: Store = new MemoryStore()): Promise<RegistryWorld> {
    const registry = await Registry.open(store, (error) => {
      throw error;
    });
    const world = new RegistryWorld(registry, store);
    await world.change((view) =>
      initializeRegistry(view, { globalId: new Uint8Array(5) }, world.context),
    );
    return world;
  }

  get view(): RegistryView {
    return this.registry.view;
  }

  change<T>(rule: (view: RegistryView) => Plan<T>): Promise<Changed<T>> {
    this.now++;
    return this.registry.change(rule);
  }

  /** Returns the connector's id and secret. */
  async connector(
    name: string,
    input: Partial<CreateConnectorInput> = {},
  ): Promise<{ id: ConnectorId; secret: string }> {
    const secret = bytesOf(this.now, 24);
    const { result } = await this.change((view) =>
      createConnector(view, { secret, ...input, name }, this.context),
    );
    return { id: result.connector.id, secret: result.secret };
  }

  async replica(
    joined: { id: ConnectorId; secret: string },
    key: number,
    advertise: readonly string[] = [],
  ): Promise<Replica> {
    const { result } = await this.change((view) =>
      enrolReplica(
        view,
        {
          connector: joined.id,
          secret: joined.secret,
          publicKey: keyText(key),
          hostname: `host-${key}`,
          version: '0.2.0',
          credentialHash: hashSecret(`credential-${key}-${this.now}`),
          advertise: { prefixes: advertise },
        },
        this.context,
      ),
    );
    return result.replica;
  }
}
