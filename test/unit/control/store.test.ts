/** The stores: the same contract; and what only a file can do: be killed, full, locked, of somebody else. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, describe, expect, test, vi } from 'vitest';
import { MemoryStore } from '../../../src/control/memory-store.ts';
import { openSqliteStore } from '../../../src/control/node/sqlite-store.ts';
import type { StoreChanges } from '../../../src/control/store.ts';
import { describeStore } from './store-contract.ts';

// Many runs each; the machine may have other work.
vi.setConfig({ testTimeout: 60_000 });

const directory = mkdtempSync(join(tmpdir(), 'causeway-store-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));
let files = 0;
const newFile = (): string => join(directory, `${files++}.db`);

describeStore('MemoryStore', (deletions) => new MemoryStore(deletions));
describeStore('SqliteStore', (deletions) => openSqliteStore(newFile(), { deletions }));

const coded = (code: string): unknown => expect.objectContaining({ code });

describe('the file', () => {
  test('is readable by its owner alone', () => {
    const file = newFile();
    const store = openSqliteStore(file);
    for (const name of [file, `${file}-wal`]) expect(statSync(name).mode & 0o777).toBe(0o600);
    return store.close();
  });

  test('keeps everything over a restart, deletions too', async () => {
    const file = newFile();
    const before = openSqliteStore(file);
    await before.commit([{ key: 'a', value: '1' }]);
    await before.commit([{ key: 'a', value: undefined }]);
    await before.close();
    const after = openSqliteStore(file);
    expect((await after.changes('', 1)).changes).toEqual([
      { key: 'a', value: undefined, revision: 2 },
    ]);
    expect(await after.commit([{ key: 'b', value: '1' }])).toMatchObject({ revision: 3 });
    await after.close();
  });

  test('of a newer version is refused and left as it is', async () => {
    const file = newFile();
    await openSqliteStore(file).close();
    const database = new DatabaseSync(file);
    database.exec('PRAGMA user_version = 2');
    database.close();
    expect(() => openSqliteStore(file)).toThrow(coded('STORE_NEWER') as Error);
  });

  test('that is no database, or another program’s, is refused', () => {
    const garbage = newFile();
    writeFileSync(garbage, 'no database at all, but long enough to look like one'.repeat(50));
    expect(() => openSqliteStore(garbage)).toThrow(coded('STORE_DAMAGED') as Error);
    const foreign = newFile();
    const database = new DatabaseSync(foreign);
    database.exec('CREATE TABLE t (a)');
    database.close();
    expect(() => openSqliteStore(foreign)).toThrow(coded('STORE_DAMAGED') as Error);
  });

  test('in a directory that is not there', () => {
    expect(() => openSqliteStore(join(directory, 'no', 'x.db'))).toThrow(
      coded('FILE_ACCESS') as Error,
    );
  });

  test('that is full takes nothing, loses nothing and goes on when there is room', async () => {
    const file = newFile();
    const store = openSqliteStore(file, { maxPages: 24 });
    await store.commit([{ key: 'kept', value: '1' }]);
    const large = [{ key: 'large', value: 'x'.repeat(200_000) }];
    await expect(store.commit(large)).rejects.toEqual(coded('STORE_FULL'));
    expect(await store.get('kept')).toMatchObject({ value: '1' });
    expect(await store.commit([{ key: 'kept', value: '2' }])).toMatchObject({ revision: 2 });
    await store.close();
  });

  test('that another process has locked', async () => {
    const file = newFile();
    const store = openSqliteStore(file, { lockTimeout: 20 });
    const other = new DatabaseSync(file);
    other.exec('BEGIN IMMEDIATE');
    await expect(store.commit([{ key: 'a', value: '1' }])).rejects.toEqual(coded('STORE_LOCKED'));
    expect(await store.get('a')).toBeUndefined();
    other.exec('ROLLBACK');
    other.close();
    expect(await store.commit([{ key: 'a', value: '1' }])).toMatchObject({ revision: 1 });
    await store.close();
  });

  test('shared by two: each hears of the other’s commits', async () => {
    const file = newFile();
    const [one, two] = [openSqliteStore(file), openSqliteStore(file, { pollInterval: 5 })];
    const heard = new Promise<StoreChanges>((resolve) => {
      two.watch('', 0, resolve);
    });
    await one.commit([{ key: 'a', value: '1' }]);
    expect((await heard).changes).toEqual([{ key: 'a', value: '1', revision: 1 }]);
    expect(await two.commit([{ key: 'a', value: '2', expected: 0 }])).toEqual({
      committed: false,
      conflict: 'a',
    });
    await Promise.all([one.close(), two.close()]);
  });
});

test('a writer killed in the middle: nothing acknowledged is lost, no half commit is seen', async () => {
  const file = newFile();
  let total = 0;
  for (let round = 0; round < 6; round++) {
    const acknowledged = await writeAndKill(file, 1 + round * 7);
    const store = openSqliteStore(file);
    const [a, b, filler] = await Promise.all(['a', 'b', 'filler'].map((key) => store.get(key)));
    const n = Number(a?.value);
    expect(b?.value).toBe(a?.value);
    expect(b?.revision).toBe(a?.revision);
    expect(filler === undefined).toBe(n % 2 === 1);
    expect(n).toBeGreaterThanOrEqual(acknowledged);
    expect(n).toBeLessThanOrEqual(acknowledged + 1);
    expect((await store.changes('', 0)).revision).toBe(n);
    total = n;
    await store.close();
  }
  expect(total).toBeGreaterThanOrEqual(6);
}, 30_000);

/** Runs the writer until it has acknowledged `commits` more, and a moment longer. The last number. */
function writeAndKill(file: string, commits: number): Promise<number> {
  const program = join(import.meta.dirname, 'crash-writer.ts');
  const child = spawn(process.execPath, [program, file], { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  return new Promise((resolve) => {
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      if (text.split('\n').length > commits) child.kill('SIGKILL');
    });
    child.on('close', () => resolve(Number(text.trimEnd().split('\n').at(-1))));
  });
}
