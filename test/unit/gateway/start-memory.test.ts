/** What a start leaves behind is given back, and nothing of the means stays. */
import { getHeapCodeStatistics } from 'node:v8';
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

it('drops what functions were compiled to, and they run as before', () => {
  const functions = Array.from({ length: 500 }, (_, i) => {
    const body = Array.from({ length: 20 }, (_, k) => `x = x * ${k + 2} + ${i};`).join('\n');
    return new Function('x', `${body}\nreturn x;`) as (x: number) => number;
  });
  const compiled = () => getHeapCodeStatistics().bytecode_and_metadata_size;
  collectGarbage();
  const before = compiled();
  const results = functions.map((one) => one(1));
  const ran = compiled();
  // 20 lines of bytecode take more than 100 bytes.
  expect(ran - before).toBeGreaterThan(functions.length * 100);
  collectGarbage();
  expect(compiled()).toBeLessThan(before + (ran - before) / 2);
  expect(functions.map((one) => one(1))).toEqual(results);
});
