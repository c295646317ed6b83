/** Notices that come faster than they are followed are one step, and nobody waits behind each of them. */
import { expect, test } from 'vitest';
import { KernelNotices } from '../../../../src/gateway/mesh/kernel-notices.ts';
import { Turns } from '../../../../src/gateway/mesh/turns.ts';
import type { KernelPart } from '../../../../src/tun/kernel-monitor.ts';

function openNotices() {
  const turns = new Turns();
  const followed: KernelPart[][] = [];
  const reading: PromiseWithResolvers<void>[] = [];
  const notices = new KernelNotices(turns, async (parts) => {
    followed.push([...parts].sort());
    const read = Promise.withResolvers<void>();
    reading.push(read);
    await read.promise;
  });
  return { turns, followed, reading, notices };
}

test('what comes while one waits for its turn is followed with it, and once more what comes later', async () => {
  const { turns, followed, reading, notices } = openNotices();
  const first = notices.add(new Set(['tables']));
  await expect.poll(() => reading.length).toBe(1);
  const later = notices.add(new Set(['tables']));
  for (let i = 0; i < 1_000; i++) await notices.add(new Set(['tables', 'rules']));
  let isNetmap = false;
  const netmap = turns.take(async () => {
    isNetmap = true;
  });
  for (let i = 0; i < 1_000; i++) await notices.add(new Set(['settings']));
  reading[0]!.resolve();
  await first;
  await expect.poll(() => reading.length).toBe(2);
  expect(followed).toEqual([['tables'], ['rules', 'settings', 'tables']]);
  const last = notices.add(new Set(['local']));
  reading[1]!.resolve();
  await Promise.all([later, netmap]);
  expect(isNetmap).toBe(true);
  await expect.poll(() => reading.length).toBe(3);
  reading[2]!.resolve();
  await last;
  expect(followed[2]).toEqual(['local']);
});

test('one that fails does not keep the next from being followed', async () => {
  let fails = true;
  const followed: string[] = [];
  const notices = new KernelNotices(new Turns(), async (parts) => {
    if (fails) throw new Error('no netlink');
    followed.push([...parts].join());
  });
  await expect(notices.add(new Set(['rules']))).rejects.toThrow('no netlink');
  fails = false;
  await notices.add(new Set(['link']));
  expect(followed).toEqual(['link']);
});
