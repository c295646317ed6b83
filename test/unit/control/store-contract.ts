/** What every implementation of `Store` does. */
import { describe, expect, test } from 'vitest';
import type { Store, StoreChanges } from '../../../src/control/store.ts';
import type { CausewayError } from '../../../src/errors.ts';

/** @param open makes an empty store that remembers `deletions` deletions */
export function describeStore(name: string, open: (deletions: number) => Store): void {
  const opened = (deletions = 100): Store => open(deletions);

  describe(`${name} keeps the contract`, () => {
    test('an entry carries the revision of the commit that wrote it last', async () => {
      const store = opened();
      expect(await store.get('a')).toBeUndefined();
      expect(await store.commit([{ key: 'a', value: '1' }])).toEqual({
        committed: true,
        revision: 1,
      });
      const both = [
        { key: 'a', value: 'ä\n"\u{1F980}' },
        { key: 'b', value: '' },
      ];
      expect(await store.commit(both)).toEqual({ committed: true, revision: 2 });
      expect(await store.get('a')).toEqual({ key: 'a', value: 'ä\n"\u{1F980}', revision: 2 });
      expect(await store.get('b')).toEqual({ key: 'b', value: '', revision: 2 });
      await store.close();
    });

    test('a probe changes nothing, and fails when it is closed', async () => {
      const store = opened();
      await store.commit([{ key: 'a', value: '1' }]);
      let heard = 0;
      store.watch('', 1, () => heard++);
      await store.probe();
      expect(await store.get('a')).toEqual({ key: 'a', value: '1', revision: 1 });
      expect((await store.changes('', 0)).revision).toBe(1);
      expect(heard).toBe(0);
      await store.close();
      await expect(store.probe()).rejects.toMatchObject({ code: 'STORE_CLOSED' });
    });

    test('a listing is in order of key, of one revision, without what was deleted', async () => {
      const store = opened();
      const keys = ['p/b', 'p/a', 'p0', 'q/a', 'p/~', 'p'];
      await store.commit(keys.map((key) => ({ key, value: key })));
      await store.commit([{ key: 'p/b', value: undefined }]);
      const { revision, entries } = await store.list('p/');
      expect(revision).toBe(2);
      expect(entries.map(({ key }) => key)).toEqual(['p/a', 'p/~']);
      expect((await store.list('')).entries).toHaveLength(5);
      await store.close();
    });

    test('a commit with a wrong expectation writes nothing', async () => {
      const store = opened();
      await store.commit([{ key: 'a', value: '1', expected: 0 }]);
      for (const expected of [0, 2]) {
        const writes = [
          { key: 'b', value: '1' },
          { key: 'a', value: '2', expected },
        ];
        expect(await store.commit(writes)).toEqual({ committed: false, conflict: 'a' });
      }
      expect(await store.get('b')).toBeUndefined();
      expect(await store.commit([{ key: 'a', value: '2', expected: 1 }])).toMatchObject({
        revision: 2,
      });
      await store.commit([{ key: 'a', value: undefined, expected: 2 }]);
      expect(await store.commit([{ key: 'a', value: '3', expected: 0 }])).toMatchObject({
        revision: 4,
      });
      await store.close();
    });

    test('an empty commit is none', async () => {
      const store = opened();
      await store.commit([{ key: 'a', value: '1' }]);
      expect(await store.commit([])).toEqual({ committed: true, revision: 1 });
      await store.close();
    });

    test('a wrong write is an assertion', async () => {
      const store = opened();
      const twice = [
        { key: 'a', value: '1' },
        { key: 'a', value: '2' },
      ];
      await expect(store.commit(twice)).rejects.toThrow(RangeError);
      for (const key of ['', 'a b', 'ä', 'x'.repeat(257), 'a\x7f']) {
        await expect(store.commit([{ key, value: '1' }])).rejects.toThrow(RangeError);
      }
      await expect(
        store.commit([{ key: 'a', value: 'x'.repeat((1 << 20) + 1) }]),
      ).rejects.toThrow();
      await store.close();
    });

    test('changes: the last state of each, deletions included, in order of revision', async () => {
      const store = opened();
      await store.commit([{ key: 'p/a', value: '1' }]);
      await store.commit([{ key: 'p/b', value: '1' }]);
      await store.commit([{ key: 'q', value: '1' }]);
      await store.commit([{ key: 'p/a', value: '2' }]);
      await store.commit([{ key: 'p/b', value: undefined }]);
      expect(await store.changes('p/', 1)).toEqual({
        revision: 5,
        forgotten: 0,
        changes: [
          { key: 'p/a', value: '2', revision: 4 },
          { key: 'p/b', value: undefined, revision: 5 },
        ],
      });
      expect((await store.changes('p/', 5)).changes).toEqual([]);
      await store.close();
    });

    test('old deletions are forgotten, and it is said up to where', async () => {
      const store = opened(16);
      for (let i = 0; i < 60; i++) {
        await store.commit([{ key: `k${i}`, value: '1' }]);
        await store.commit([{ key: `k${i}`, value: undefined }]);
      }
      const { forgotten, changes, revision } = await store.changes('', 0);
      expect(revision).toBe(120);
      expect(forgotten).toBeGreaterThan(0);
      expect(changes.length).toBeGreaterThanOrEqual(16);
      expect(changes.length).toBeLessThan(60);
      expect(changes[0]!.revision).toBeGreaterThan(forgotten);
      await store.close();
    });

    test('a watch tells everything after its revision, in order, and nothing after its end', async () => {
      const store = opened();
      await store.commit([{ key: 'p/a', value: '1' }]);
      await store.commit([{ key: 'p/b', value: '1' }]);
      const seen: StoreChanges[] = [];
      const stop = store.watch('p/', 1, (changes) => seen.push(changes));
      await store.commit([{ key: 'q', value: '1' }]);
      await store.commit([{ key: 'p/c', value: '1' }]);
      await turn();
      await store.commit([{ key: 'p/c', value: undefined }]);
      await turn();
      const changes = seen.flatMap((some) => some.changes);
      expect(changes.map(({ key, revision }) => [key, revision])).toEqual([
        ['p/b', 2],
        ['p/c', 4],
        ['p/c', 5],
      ]);
      expect(seen.at(-1)!.revision).toBe(5);
      stop();
      await store.commit([{ key: 'p/d', value: '1' }]);
      await turn();
      expect(seen.flatMap((some) => some.changes)).toHaveLength(3);
      await store.close();
    });

    test('commits at the same time are one after the other', async () => {
      const store = opened();
      const increment = async (): Promise<void> => {
        for (;;) {
          const entry = await store.get('n');
          const value = String(Number(entry?.value ?? 0) + 1);
          const write = { key: 'n', value, expected: entry?.revision ?? 0 };
          if ((await store.commit([write])).committed) return;
        }
      };
      await Promise.all(Array.from({ length: 20 }, increment));
      expect((await store.get('n'))?.value).toBe('20');
      await store.close();
    });

    test('a closed store says so', async () => {
      const store = opened();
      await store.close();
      await store.close();
      const refused = expect.objectContaining<Partial<CausewayError>>({ code: 'STORE_CLOSED' });
      await expect(store.get('a')).rejects.toEqual(refused);
      await expect(store.commit([{ key: 'a', value: '1' }])).rejects.toEqual(refused);
    });
  });
}

/** Lets everything that is due run. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
