/** A store in this process's memory: for tests, and the measure of what a store does. */
import { CausewayError } from '../errors.ts';
import {
  assertWrites,
  type CommitResult,
  type Store,
  type StoreChange,
  type StoreChanges,
  type StoreEntry,
  type StoreListener,
  type StoreListing,
  type StoreWrite,
} from './store.ts';
import { StoreWatchers } from './store-watchers.ts';

/** Deletions remembered by default. */
const DELETIONS = 16_384;

let opened = 0;

export class MemoryStore implements Store {
  readonly session = `memory-${++opened}`;
  readonly #deletions: number;
  readonly #entries = new Map<string, StoreChange>();
  /** Every write in order; outdated when the entry's revision is another. */
  #log: { readonly key: string; readonly revision: number }[] = [];
  #deleted: { readonly key: string; readonly revision: number }[] = [];
  #revision = 0;
  #forgotten = 0;
  #closed = false;
  readonly #watchers = new StoreWatchers((prefix, revision) => this.#changes(prefix, revision));

  /** @param deletions how many deletions `changes` remembers */
  constructor(deletions = DELETIONS) {
    this.#deletions = deletions;
  }

  async get(key: string): Promise<StoreEntry | undefined> {
    this.#assertOpen();
    const entry = this.#entries.get(key);
    return isLive(entry) ? entry : undefined;
  }

  async list(prefix: string): Promise<StoreListing> {
    this.#assertOpen();
    const entries = [...this.#entries.values()]
      .filter(isLive)
      .filter(({ key }) => key.startsWith(prefix))
      .sort((a, b) => (a.key < b.key ? -1 : 1));
    return { revision: this.#revision, entries };
  }

  async changes(prefix: string, revision: number): Promise<StoreChanges> {
    this.#assertOpen();
    return this.#changes(prefix, revision);
  }

  async commit(writes: readonly StoreWrite[]): Promise<CommitResult> {
    this.#assertOpen();
    assertWrites(writes);
    for (const { key, expected } of writes) {
      const entry = this.#entries.get(key);
      const revision = isLive(entry) ? entry.revision : 0;
      if (expected !== undefined && expected !== revision)
        return { committed: false, conflict: key };
    }
    if (writes.length === 0) return { committed: true, revision: this.#revision };
    const revision = ++this.#revision;
    for (const { key, value } of writes) {
      this.#entries.set(key, { key, value, revision });
      this.#log.push({ key, revision });
      if (value === undefined) this.#deleted.push({ key, revision });
    }
    this.#compact();
    this.#watchers.notify();
    return { committed: true, revision };
  }

  watch(prefix: string, revision: number, listener: StoreListener): () => void {
    this.#assertOpen();
    return this.#watchers.add(prefix, revision, listener);
  }

  async probe(): Promise<void> {
    this.#assertOpen();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#watchers.clear();
  }

  #changes(prefix: string, revision: number): StoreChanges {
    let low = 0;
    for (let high = this.#log.length; low < high; ) {
      const middle = (low + high) >>> 1;
      if (this.#log[middle]!.revision <= revision) low = middle + 1;
      else high = middle;
    }
    const changes: StoreChange[] = [];
    for (const written of this.#log.slice(low)) {
      const entry = this.#entries.get(written.key);
      if (entry?.revision === written.revision && entry.key.startsWith(prefix)) changes.push(entry);
    }
    return { revision: this.#revision, changes, forgotten: this.#forgotten };
  }

  #compact(): void {
    while (this.#deleted.length > this.#deletions) {
      const { key, revision } = this.#deleted.shift()!;
      this.#forgotten = revision;
      if (this.#entries.get(key)?.revision === revision) this.#entries.delete(key);
    }
    if (this.#log.length > 2 * this.#entries.size + 1_024) {
      this.#log = this.#log.filter(
        ({ key, revision }) => this.#entries.get(key)?.revision === revision,
      );
    }
  }

  #assertOpen(): void {
    if (this.#closed) throw new CausewayError('STORE_CLOSED', 'The registry is closed.');
  }
}

function isLive(entry: StoreChange | undefined): entry is StoreEntry {
  return entry?.value !== undefined;
}
