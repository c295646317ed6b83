/**
 * The registry's storage: a versioned key-value store with compare-and-set and watch (DESIGN § 4).
 *
 * Every commit gets the next revision of the store; an entry carries that of the commit that wrote it
 * last. Several processes may share one store: nothing above may rely on being its only writer. Expiry
 * is written into the values and is the business of whoever reads them.
 *
 * Implementations: `MemoryStore` (tests), `node/sqlite-store.ts` (one file), later NATS JetStream.
 */

/** Characters of a key: `a/b/c`, printable ASCII without white space. */
export const KEY_PATTERN = /^[!-~]{1,256}$/;
/** Characters of a value. */
export const MAX_VALUE_LENGTH = 1 << 20;
export const MAX_WRITES_PER_COMMIT = 65_536;

export interface StoreEntry {
  readonly key: string;
  readonly value: string;
  /** ≥ 1. */
  readonly revision: number;
}

/** An entry as it is now, or that there is none any more (`value` undefined). */
export interface StoreChange {
  readonly key: string;
  readonly value: string | undefined;
  readonly revision: number;
}

export interface StoreWrite {
  readonly key: string;
  /** Undefined deletes. */
  readonly value: string | undefined;
  /** The revision that the entry has now, 0 = there is none; undefined = whatever it is. */
  readonly expected?: number | undefined;
}

export interface StoreListing {
  /** The store's revision that the entries are of. */
  readonly revision: number;
  /** In order of key. */
  readonly entries: readonly StoreEntry[];
}

export interface StoreChanges {
  /** The store's revision after them. */
  readonly revision: number;
  /**
   * What changed, in order of revision; of an entry that changed more than once only the last state.
   * Either all of a commit's changes are in here or none.
   */
  readonly changes: readonly StoreChange[];
  /**
   * Deletions up to here are forgotten. Asked for changes after an earlier revision, a reader has to
   * list everything anew.
   */
  readonly forgotten: number;
}

export type CommitResult =
  | { readonly committed: true; readonly revision: number }
  /** Nothing was written, because this entry is not at the expected revision. */
  | { readonly committed: false; readonly conflict: string };

/**
 * All methods reject with a CausewayError: STORE_LOCKED, STORE_FULL, STORE_DAMAGED, STORE_CLOSED.
 */
export interface Store {
  /** Names this opening of the store: no other one, of whatever copy of it, has the same. */
  readonly session: string;
  get(key: string): Promise<StoreEntry | undefined>;
  /** Every entry whose key starts with `prefix`, as of one revision. */
  list(prefix: string): Promise<StoreListing>;
  /** What changed below `prefix` after `revision`. */
  changes(prefix: string, revision: number): Promise<StoreChanges>;
  /**
   * Writes all or nothing; durable when it resolves. A key may appear once. An empty list commits
   * nothing and resolves with the current revision.
   */
  commit(writes: readonly StoreWrite[]): Promise<CommitResult>;
  /**
   * Calls `listener` with what changed below `prefix` after `revision`, then after each further
   * commit (of any process) that touches the prefix, in order and without gaps. Returns how to stop.
   */
  watch(prefix: string, revision: number, listener: StoreListener): () => void;
  /** Reads and writes durably without changing anything; rejects if a commit would. Waits for nobody. */
  probe(): Promise<void>;
  close(): Promise<void>;
}

export type StoreListener = (changes: StoreChanges) => void;

/** An assertion on what a caller writes; every store makes it. */
export function assertWrites(writes: readonly StoreWrite[]): void {
  if (writes.length > MAX_WRITES_PER_COMMIT) throw new RangeError('too many writes in one commit');
  const keys = new Set<string>();
  for (const { key, value } of writes) {
    if (!KEY_PATTERN.test(key)) throw new RangeError(`not a key: ${JSON.stringify(key)}`);
    if (keys.has(key)) throw new RangeError(`written twice in one commit: ${key}`);
    if (value !== undefined && value.length > MAX_VALUE_LENGTH) {
      throw new RangeError(`value of ${key} is longer than ${MAX_VALUE_LENGTH} characters`);
    }
    keys.add(key);
  }
}
