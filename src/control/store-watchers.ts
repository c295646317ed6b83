/**
 * The watchers of a store in this process. Each knows how far it has read and reads on when it is
 * told that there may be more, so that nothing is missed between a listing and a watch, and a
 * listener never runs inside somebody else's commit.
 */
import type { StoreChanges, StoreListener } from './store.ts';

interface Watcher {
  readonly prefix: string;
  readonly listener: StoreListener;
  revision: number;
  closed: boolean;
}

export class StoreWatchers {
  readonly #changes: (prefix: string, revision: number) => StoreChanges;
  readonly #watchers = new Set<Watcher>();
  #scheduled = false;
  #behind = false;

  constructor(changes: (prefix: string, revision: number) => StoreChanges) {
    this.#changes = changes;
  }

  get size(): number {
    return this.#watchers.size;
  }

  /** Whether a watcher could not be read to the end: `notify` tries again. */
  get behind(): boolean {
    return this.#behind;
  }

  add(prefix: string, revision: number, listener: StoreListener): () => void {
    const watcher = { prefix, listener, revision, closed: false };
    this.#watchers.add(watcher);
    this.notify();
    return () => {
      watcher.closed = true;
      this.#watchers.delete(watcher);
    };
  }

  /** There may be something new: every watcher reads on, once the caller has returned. */
  notify(): void {
    if (this.#scheduled || this.#watchers.size === 0) return;
    this.#scheduled = true;
    void Promise.resolve().then(() => {
      this.#scheduled = false;
      this.#behind = false;
      for (const watcher of this.#watchers) this.#read(watcher);
    });
  }

  clear(): void {
    for (const watcher of this.#watchers) watcher.closed = true;
    this.#watchers.clear();
  }

  #read(watcher: Watcher): void {
    if (watcher.closed) return;
    let changes: StoreChanges;
    try {
      changes = this.#changes(watcher.prefix, watcher.revision);
    } catch {
      this.#behind = true; // locked for a moment; nothing is skipped
      return;
    }
    const missed = changes.forgotten > watcher.revision;
    watcher.revision = changes.revision;
    if (changes.changes.length > 0 || missed) watcher.listener(changes);
  }
}
