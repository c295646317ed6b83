/**
 * The registry's store in one SQLite file, by node's own SQLite.
 *
 * Write-ahead log with synchronous=FULL: a commit that was acknowledged survives the loss of power.
 * Several processes may have the file open; each sees the others' commits within POLL_INTERVAL.
 * Deletions stay in the table as rows without a value until DELETIONS newer ones exist, so that a
 * reader who was away learns of them.
 */
import { randomBytes } from 'node:crypto';
import { closeSync, openSync } from 'node:fs';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { CausewayError } from '../../errors.ts';
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
} from '../store.ts';
import { StoreWatchers } from '../store-watchers.ts';
import { storeError } from './sqlite-errors.ts';

/** Of the layout below, in `user_version`. */
const SCHEMA_VERSION = 1;
/** "CWAY", in `application_id`. */
const APPLICATION_ID = 0x43_57_41_59;
/** How long to wait for a lock that another process holds, in ms. */
const LOCK_TIMEOUT = 2_000;
/** How often to look for other processes' commits while somebody watches, in ms. */
const POLL_INTERVAL = 250;
const DELETIONS = 16_384;
/** Random bytes in the name of an opening. */
const SESSION_SIZE = 12;

const SCHEMA = `
  CREATE TABLE entries (
    key TEXT NOT NULL PRIMARY KEY,
    value TEXT,
    revision INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX entries_revision ON entries (revision);
  CREATE INDEX entries_deleted ON entries (revision) WHERE value IS NULL;
  CREATE TABLE state (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    revision INTEGER NOT NULL,
    forgotten INTEGER NOT NULL
  ) STRICT;
  INSERT INTO state VALUES (1, 0, 0);
  PRAGMA application_id = ${APPLICATION_ID};
  PRAGMA user_version = ${SCHEMA_VERSION};
`;

export interface SqliteStoreOptions {
  /** How many deletions are remembered. */
  readonly deletions?: number;
  readonly lockTimeout?: number;
  readonly pollInterval?: number;
  /** Upper bound of the file in pages of 4 KiB; for tests of a full disk. */
  readonly maxPages?: number;
}

/**
 * Opens or creates the file (mode 0600).
 *
 * @throws CausewayError STORE_NEWER, STORE_LOCKED, STORE_FULL, STORE_DAMAGED, FILE_ACCESS
 */
export function openSqliteStore(path: string, options: SqliteStoreOptions = {}): SqliteStore {
  try {
    closeSync(openSync(path, 'a', 0o600));
  } catch (error) {
    throw storeError(error, path);
  }
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(path, { timeout: options.lockTimeout ?? LOCK_TIMEOUT });
    prepareDatabase(database, path);
    if (options.maxPages !== undefined) {
      database.exec(`PRAGMA max_page_count = ${options.maxPages}`);
    }
    return new SqliteStore(database, path, options);
  } catch (error) {
    database?.close();
    throw storeError(error, path);
  }
}

function prepareDatabase(database: DatabaseSync, path: string): void {
  const pragma = (name: string): unknown => {
    const row = database.prepare(`PRAGMA ${name}`).get();
    return row === undefined ? undefined : Object.values(row)[0];
  };
  database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL');
  database.exec('BEGIN IMMEDIATE');
  try {
    const version = Number(pragma('user_version'));
    const application = Number(pragma('application_id'));
    if (version > SCHEMA_VERSION && application === APPLICATION_ID) {
      throw new CausewayError(
        'STORE_NEWER',
        `${path} was written by a newer version of Causeway (layout ${version}, this one knows ${SCHEMA_VERSION}): install that version again, or restore the copy made before the upgrade.`,
      );
    }
    const tables = database.prepare('SELECT count(*) AS n FROM sqlite_schema').get();
    if (version === 0 && application === 0 && tables?.n === 0) database.exec(SCHEMA);
    else if (application !== APPLICATION_ID) {
      throw new CausewayError('STORE_DAMAGED', `${path} is a database of another program.`);
    }
    database.exec('COMMIT');
  } catch (error) {
    database.exec('ROLLBACK');
    throw error;
  }
}

export class SqliteStore implements Store {
  readonly session = randomBytes(SESSION_SIZE).toString('base64url');
  readonly #database: DatabaseSync;
  readonly #path: string;
  readonly #deletions: number;
  readonly #pollInterval: number;
  readonly #lockTimeout: number;
  readonly #statements: Record<
    'get' | 'list' | 'changes' | 'put' | 'state' | 'advance' | 'deletion' | 'forget' | 'version',
    StatementSync
  >;
  readonly #watchers = new StoreWatchers((prefix, revision) => this.#changes(prefix, revision));
  #poll: NodeJS.Timeout | undefined;
  #dataVersion: unknown;
  /** Deletions since the last look at how many there are. */
  #deleted = 0;
  #closed = false;

  /** Takes over a database that `openSqliteStore` prepared. */
  constructor(database: DatabaseSync, path: string, options: SqliteStoreOptions) {
    this.#database = database;
    this.#path = path;
    this.#deletions = options.deletions ?? DELETIONS;
    this.#pollInterval = options.pollInterval ?? POLL_INTERVAL;
    this.#lockTimeout = options.lockTimeout ?? LOCK_TIMEOUT;
    const below = 'key >= ? AND key < ?';
    this.#statements = {
      get: database.prepare(
        'SELECT key, value, revision FROM entries WHERE key = ? AND value IS NOT NULL',
      ),
      list: database.prepare(
        `SELECT key, value, revision FROM entries WHERE ${below} AND value IS NOT NULL ORDER BY key`,
      ),
      changes: database.prepare(
        `SELECT key, value, revision FROM entries WHERE revision > ? AND ${below} ORDER BY revision`,
      ),
      put: database.prepare('INSERT OR REPLACE INTO entries VALUES (?, ?, ?)'),
      state: database.prepare('SELECT revision, forgotten FROM state'),
      advance: database.prepare('UPDATE state SET revision = ?'),
      deletion: database.prepare(
        'SELECT revision FROM entries WHERE value IS NULL ORDER BY revision DESC LIMIT 1 OFFSET ?',
      ),
      forget: database.prepare('DELETE FROM entries WHERE value IS NULL AND revision <= ?'),
      version: database.prepare('PRAGMA data_version'),
    };
  }

  async get(key: string): Promise<StoreEntry | undefined> {
    return this.#attempt(() => this.#statements.get.get(key) as StoreEntry | undefined);
  }

  async list(prefix: string): Promise<StoreListing> {
    return this.#transaction('BEGIN', () => {
      const entries = this.#statements.list.all(prefix, afterPrefix(prefix));
      return { revision: this.#state().revision, entries: entries as unknown as StoreEntry[] };
    });
  }

  async changes(prefix: string, revision: number): Promise<StoreChanges> {
    return this.#changes(prefix, revision);
  }

  async commit(writes: readonly StoreWrite[]): Promise<CommitResult> {
    assertWrites(writes);
    const result = this.#transaction('BEGIN IMMEDIATE', () => this.#write(writes));
    if (result.committed) this.#watchers.notify();
    return result;
  }

  watch(prefix: string, revision: number, listener: StoreListener): () => void {
    const stop = this.#watchers.add(prefix, revision, listener);
    this.#poll ??= setInterval(() => this.#lookForOthers(), this.#pollInterval).unref();
    return stop;
  }

  async probe(): Promise<void> {
    this.#attempt(() => this.#database.exec('PRAGMA busy_timeout = 0'));
    try {
      this.#transaction('BEGIN IMMEDIATE', () => {
        const { revision } = this.#state();
        // SQLite writes no page on which nothing changes.
        this.#statements.advance.run(revision + 1);
        this.#statements.advance.run(revision);
      });
    } finally {
      this.#database.exec(`PRAGMA busy_timeout = ${this.#lockTimeout}`);
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#poll);
    this.#watchers.clear();
    this.#database.close();
  }

  #write(writes: readonly StoreWrite[]): CommitResult {
    const { get, put, advance } = this.#statements;
    for (const { key, expected } of writes) {
      if (expected === undefined) continue;
      const entry = get.get(key) as StoreEntry | undefined;
      if ((entry?.revision ?? 0) !== expected) return { committed: false, conflict: key };
    }
    const before = this.#state().revision;
    if (writes.length === 0) return { committed: true, revision: before };
    const revision = before + 1;
    for (const { key, value } of writes) {
      put.run(key, value ?? null, revision);
      if (value === undefined) this.#deleted++;
    }
    advance.run(revision);
    if (this.#deleted * 8 > this.#deletions) this.#forgetDeletions();
    return { committed: true, revision };
  }

  #forgetDeletions(): void {
    this.#deleted = 0;
    const row = this.#statements.deletion.get(this.#deletions) as { revision: number } | undefined;
    if (row === undefined) return;
    this.#statements.forget.run(row.revision);
    this.#database.prepare('UPDATE state SET forgotten = ?').run(row.revision);
  }

  #changes(prefix: string, revision: number): StoreChanges {
    return this.#transaction('BEGIN', () => {
      const rows = this.#statements.changes.all(revision, prefix, afterPrefix(prefix));
      const changes = (rows as unknown as (StoreEntry | StoreChange)[]).map((row) => ({
        ...row,
        value: row.value ?? undefined,
      }));
      return { ...this.#state(), changes };
    });
  }

  #state(): { revision: number; forgotten: number } {
    return { ...(this.#statements.state.get() as { revision: number; forgotten: number }) };
  }

  /** Another process's commit changes `data_version`; our own do not. */
  #lookForOthers(): void {
    if (this.#watchers.size === 0) return;
    const version = this.#statements.version.get()?.data_version;
    if (version === this.#dataVersion && !this.#watchers.behind) return;
    this.#dataVersion = version;
    this.#watchers.notify();
  }

  #transaction<T>(begin: string, action: () => T): T {
    return this.#attempt(() => {
      this.#database.exec(begin);
      try {
        const result = action();
        this.#database.exec('COMMIT');
        return result;
      } catch (error) {
        if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
        throw error;
      }
    });
  }

  #attempt<T>(action: () => T): T {
    if (this.#closed) throw new CausewayError('STORE_CLOSED', 'The registry is closed.');
    try {
      return action();
    } catch (error) {
      throw storeError(error, this.#path);
    }
  }
}

/** The first string behind all keys that start with `prefix`: keys are ASCII below DEL. */
function afterPrefix(prefix: string): string {
  return `${prefix}\x7f`;
}
