/** The addon in several threads at once, and in threads that end at any moment. */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { addon, openDescriptors, programPath, times } from './addon-under-test.ts';

const start = (task: string): Worker => new Worker(programPath('worker'), { workerData: { task } });

async function answer(worker: Worker): Promise<unknown> {
  const failed = once(worker, 'error').then(([error]) => {
    throw error;
  });
  failed.catch(() => undefined);
  const [message] = await Promise.race([once(worker, 'message'), failed]);
  return message;
}

describe('worker threads', () => {
  it('seal, open and send at the same time, each with its own handles', async () => {
    const workers = Array.from({ length: 4 }, () => start('traffic'));
    expect(await Promise.all(workers.map(answer))).toEqual(new Array(4).fill('done'));
    await Promise.all(workers.map((worker) => worker.terminate()));
  });

  it('do not know the handles of each other', async () => {
    const keys = addon.createKeys(1);
    const worker = start('handles');
    expect(await answer(worker)).toBe('wrong handle');
    await worker.terminate();
    addon.release(keys);
  });

  it('may be terminated with open polls; what they opened is closed by whoever is told', async () => {
    const before = openDescriptors();
    for (let round = 0; round < times(10); round++) {
      const worker = start('polls');
      const fds = (await answer(worker)) as number[];
      await worker.terminate();
      for (const fd of fds) addon.close(fd);
    }
    expect(openDescriptors()).toBe(before);
  });

  it('may be terminated in the middle of a callback', async () => {
    const before = openDescriptors();
    for (let round = 0; round < times(10); round++) {
      const worker = start('busy');
      const fds = (await answer(worker)) as number[];
      await worker.terminate();
      for (const fd of fds) addon.close(fd);
    }
    expect(openDescriptors()).toBe(before);
  });

  it('end by themselves with everything still open', async () => {
    const worker = start('exit');
    const [fds, [code]] = await Promise.all([answer(worker), once(worker, 'exit')]);
    expect(code).toBe(3);
    for (const fd of fds as number[]) addon.close(fd);
  });

  it('get the exception of a callback as their error', async () => {
    const worker = start('throw');
    const [error] = await once(worker, 'error');
    expect(error).toMatchObject({ message: 'from the callback' });
  });
});
