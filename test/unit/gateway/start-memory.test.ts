/** What a start leaves behind is given back, and nothing of the means stays. */
import { runInNewContext } from 'node:vm';
import { expect, it } from 'vitest';
import { collectGarbage } from '../../../src/gateway/start-memory.ts';

it('collects what nothing refers to any more', async () => {
  const left = new WeakRef({});
  // A WeakRef keeps its target until the job that made it ends.
  await new Promise((resolve) => setImmediate(resolve));
  collectGarbage();
  expect(left.deref()).toBeUndefined();
});

it('leaves no function behind that collects', () => {
  collectGarbage();
  expect(runInNewContext('typeof gc')).toBe('undefined');
});
