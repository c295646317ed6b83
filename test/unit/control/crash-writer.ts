/**
 * Commits to the SQLite store in the given file as fast as it can until it is killed: the same number
 * in two entries, and one entry that comes and goes. Prints each number once it is acknowledged.
 */
import { writeSync } from 'node:fs';
import { openSqliteStore } from '../../../src/control/node/sqlite-store.ts';

const store = openSqliteStore(process.argv[2]!);
const last = Number((await store.get('a'))?.value ?? 0);
for (let n = last + 1; ; n++) {
  await store.commit([
    { key: 'a', value: String(n) },
    { key: 'filler', value: n % 2 === 0 ? 'x'.repeat(20_000) : undefined },
    { key: 'b', value: String(n) },
  ]);
  writeSync(1, `${n}\n`);
}
