/**
 * The registry over its store: a view that follows it, and changes by rules.
 *
 * A rule is a function from the view to a plan. Its plan is committed if nobody changed the registry
 * meanwhile, and made again from the newer view otherwise. Changes of this process are made one after
 * the other; listeners hear of every change, whoever made it, once and in order.
 */
import { CausewayError } from '../../errors.ts';
import type { Store, StoreChange, StoreChanges, StoreWrite } from '../store.ts';
import type { Plan } from './draft.ts';
import { decodeObject, REGISTRY_PREFIX, type RegistryEvent } from './objects.ts';
import { RegistryView } from './view.ts';

/** How often a change is tried before REGISTRY_BUSY. */
const ATTEMPTS = 16;
/** Changes that may wait for their turn. */
const MAX_WAITING = 4_096;

export interface Changed<T> {
  readonly result: T;
  /** Of the registry after the change; as it was if there was nothing to change. */
  readonly revision: number;
  /** What the change did, without the head: for the audit log. */
  readonly events: readonly RegistryEvent[];
}

/** `revision`: the view's now, after these events. */
export type RegistryListener = (events: readonly RegistryEvent[], revision: number) => void;

export class Registry {
  readonly view: RegistryView;
  readonly #store: Store;
  readonly #listeners = new Set<RegistryListener>();
  #stopWatching: () => void = () => {};
  #turn: Promise<unknown> = Promise.resolve();
  #waiting = 0;
  #history: readonly StoreChange[] = [];
  #forgotten = 0;

  private constructor(store: Store) {
    this.#store = store;
    this.view = new RegistryView(store.session);
  }

  /**
   * Reads the registry and follows it from then on. `onFailure` hears of what makes it impossible to
   * go on, such as an entry written by a newer version.
   *
   * @throws CausewayError STORE_*
   */
  static async open(store: Store, onFailure: (error: unknown) => void): Promise<Registry> {
    const registry = new Registry(store);
    const { revision, changes, forgotten } = await store.changes(REGISTRY_PREFIX, 0);
    registry.#history = changes;
    registry.#forgotten = forgotten;
    registry.view.apply(changes, revision);
    registry.#stopWatching = store.watch(REGISTRY_PREFIX, revision, (more) => {
      void registry.#follow(more).catch(onFailure);
    });
    return registry;
  }

  /** What was read when the registry was opened, deletions included, and up to where they are lost. */
  takeHistory(): { readonly changes: readonly StoreChange[]; readonly forgotten: number } {
    const changes = this.#history;
    this.#history = [];
    return { changes, forgotten: this.#forgotten };
  }

  /** Calls `listener` after each change that the view took over. Returns how to stop. */
  onChange(listener: RegistryListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Makes a change; when it resolves it is durable, the view has it and the listeners heard of it.
   *
   * @throws CausewayError what the rule throws, REGISTRY_BUSY, STORE_*
   */
  change<T>(rule: (view: RegistryView) => Plan<T>): Promise<Changed<T>> {
    if (this.#waiting >= MAX_WAITING) return Promise.reject(busy());
    this.#waiting++;
    const turn = this.#turn.then(() => this.#change(rule)).finally(() => this.#waiting--);
    this.#turn = turn.catch(() => {});
    return turn;
  }

  /** Follows the store no longer; the store stays open. */
  close(): void {
    this.#stopWatching();
    this.#listeners.clear();
  }

  async #change<T>(rule: (view: RegistryView) => Plan<T>): Promise<Changed<T>> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const { writes, result } = rule(this.view);
      if (writes.length === 0) return { result, revision: this.view.revision, events: [] };
      // The head is expected to be as the rule saw it, so what the view has now is what was before.
      const events = writes.map((write) => eventOf(this.view, write));
      const committed = await this.#store.commit(writes);
      await this.#catchUp();
      if (!committed.committed) continue;
      const { revision } = committed;
      return { result, revision, events: events.filter(({ kind }) => kind !== 'head') };
    }
    throw busy();
  }

  async #catchUp(): Promise<void> {
    await this.#follow(await this.#store.changes(REGISTRY_PREFIX, this.view.revision));
  }

  async #follow({ revision, changes, forgotten }: StoreChanges): Promise<void> {
    if (revision <= this.view.revision) return;
    const missed = forgotten > this.view.revision;
    const events = missed ? await this.#readAnew() : this.view.apply(changes, revision);
    if (events.length === 0) return;
    for (const listener of this.#listeners) listener(events, this.view.revision);
  }

  /** After more deletions than the store remembers: what is not listed any more was deleted. */
  async #readAnew(): Promise<RegistryEvent[]> {
    const { revision, entries } = await this.#store.list(REGISTRY_PREFIX);
    const listed = new Set(entries.map(({ key }) => key));
    const deleted = [...this.view.keys()]
      .filter((key) => !listed.has(key))
      .map((key) => ({ key, value: undefined, revision }));
    return this.view.apply([...deleted, ...entries], revision);
  }
}

function eventOf(view: RegistryView, { key, value }: StoreWrite): RegistryEvent {
  const before = view.get(key);
  const after = value === undefined ? undefined : decodeObject(key, value);
  const kind = (before ?? after)!.kind;
  return { kind, key, before: before?.object, after: after?.object } as RegistryEvent;
}

function busy(): CausewayError {
  return new CausewayError(
    'REGISTRY_BUSY',
    'The registry is being changed all the time: try again in a moment.',
  );
}
