import { expect, test } from 'vitest';
import { Turns } from '../../../../src/gateway/mesh/turns.ts';

test('steps run one after the other, also behind one that fails', async () => {
  const turns = new Turns();
  const order: string[] = [];
  const first = Promise.withResolvers<void>();
  const one = turns.take(async () => {
    order.push('one begins');
    await first.promise;
    order.push('one fails');
    throw new Error('refused');
  });
  const two = turns.take(async () => {
    order.push('two');
  });
  first.resolve();
  await expect(one).rejects.toThrow('refused');
  await two;
  expect(order).toEqual(['one begins', 'one fails', 'two']);
});

test('closing waits for the step that runs, and no other begins', async () => {
  const turns = new Turns();
  const order: string[] = [];
  const begun = Promise.withResolvers<void>();
  const first = Promise.withResolvers<void>();
  void turns.take(async () => {
    begun.resolve();
    await first.promise;
    order.push('one');
  });
  const two = turns.take(async () => {
    order.push('two');
  });
  await begun.promise;
  const closed = turns.close().then(() => order.push('closed'));
  first.resolve();
  await Promise.all([two, closed]);
  await turns.take(async () => {
    order.push('three');
  });
  expect(order).toEqual(['one', 'closed']);
});
