import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { createPeerFigures, PeerStatistics } from '../../../src/wireguard/peer-statistics.ts';

describe('PeerStatistics', () => {
  it('keeps peers apart', () => {
    const statistics = new PeerStatistics(3);
    statistics.rxBytes[1] = 5;
    statistics.txBytes[2] = 6;
    statistics.setLastHandshake(0, 7);
    statistics.setEndpoint(
      1,
      Int32Array.from({ length: 24 }, (_, i) => i),
      1,
    );
    const figures = [0, 1, 2].map((peer) => {
      const into = createPeerFigures();
      statistics.read(peer, into);
      return [into.rxBytes, into.txBytes, into.lastHandshake, into.endpoint[0]];
    });
    expect(figures).toEqual([
      [0, 0, 7, 0],
      [5, 0, 0, 12],
      [0, 6, 0, 0],
    ]);
    statistics.clear(1);
    const into = createPeerFigures();
    statistics.read(1, into);
    expect(into).toEqual(createPeerFigures());
  });

  it('shows another thread whole endpoints only', async () => {
    const buffer = new SharedArrayBuffer(PeerStatistics.bytesFor(2));
    const statistics = new PeerStatistics(2, buffer);
    const source = new URL('../../../src/wireguard/peer-statistics.ts', import.meta.url).href;
    const worker = new Worker(
      `const { parentPort, workerData } = require('node:worker_threads');
      import(workerData.source).then(({ PeerStatistics }) => {
        const statistics = new PeerStatistics(2, workerData.buffer);
        const words = new Int32Array(12);
        const end = Date.now() + 300;
        parentPort.postMessage('started');
        for (let n = 1; Date.now() < end; n++) {
          words.fill(n);
          statistics.setEndpoint(1, words, 0);
        }
        parentPort.postMessage('done');
      });`,
      { eval: true, workerData: { source, buffer } },
    );
    let done = false;
    let started = false;
    worker.on('message', (message) => {
      if (message === 'started') started = true;
      else done = true;
    });
    const into = createPeerFigures();
    const seen = new Set<number>();
    let torn = 0;
    while (!done) {
      await new Promise((resolve) => setImmediate(resolve));
      if (!started) continue;
      for (let i = 0; i < 1_000; i++) {
        statistics.read(1, into);
        seen.add(into.endpoint[0]!);
        if (!into.endpoint.every((word) => word === into.endpoint[0])) torn++;
      }
    }
    await worker.terminate();
    expect(torn).toBe(0);
    expect(seen.size).toBeGreaterThan(1);
  });
});
