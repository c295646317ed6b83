/**
 * What a gateway leaves of itself in the kernel: nothing, to the byte, after `connector down`, after
 * SIGTERM, and after kill -9 at any moment of its life and `connector down`. Another tunnel runs beside
 * it, and other people have rules, routes, tables and filters there. One gateway and its edge:
 *
 *      gateway a ──── nat ──── internet ──── edge
 */
import { randomInt } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { generateKeyPair } from '../../lab/keys.ts';
import { CONNECTOR, INTERFACE, MeshLab, type Site } from '../../lab/mesh-lab.ts';
import type { Namespace } from '../../lab/namespace.ts';
import { dump, strangers } from './kernel-dump.ts';
import { netnsSuite } from './suite.ts';

const SECONDS = 60_000;

netnsSuite('the kernel as it was before', ['nft', 'sysctl'], () => {
  test('after down, SIGTERM, and kill -9 at many moments', { timeout: 3 * SECONDS }, async () => {
    await using mesh = await MeshLab.open({ name: 'a', number: 1 });
    const [a] = mesh.sites as [Site];
    await mesh.startEdge();
    await strangers(a);
    // A default route of IPv6, beside which the edge is reached: it has all the rules, shares one with others, and sets a kernel setting.
    const [{ privateKey: own }, { publicKey: peer }] = [generateKeyPair(), generateKeyPair()];
    const beside = a.gateway.file(
      'cw9.conf',
      `[Interface]\nPrivateKey = ${own}\nAddress = 10.99.0.1/24, fd99::1/64
[Peer]\nPublicKey = ${peer}\nAllowedIPs = 10.98.0.0/16, ::/0\n`,
    );
    const clean = await dump(a.gateway);
    await a.gateway.run([CONNECTOR, 'tunnel', 'up', beside]);
    const before = await dump(a.gateway);
    expect(before).not.toBe(clean);

    await a.up('--token', await mesh.create(a));
    expect(await dump(a.gateway)).toContain(INTERFACE);
    await a.down();
    expect(await dump(a.gateway)).toBe(before);

    const gone = async (): Promise<void> => {
      while ((await a.gateway.run(['ip', '-o', 'link'])).includes(INTERFACE)) await delay(20);
    };
    const start = (): ReturnType<Namespace['start']> =>
      a.gateway.start([CONNECTOR, 'up', '--foreground', '--state-dir', a.stateDirectory]);
    // Some while it starts, and the last of them while it runs.
    const startTakes = await (async () => {
      const from = performance.now();
      const daemon = start();
      await daemon.line(/"msg":"ready"/, 30);
      const took = performance.now() - from;
      await daemon.stop();
      expect(await dump(a.gateway)).toBe(before);
      return took;
    })();
    for (const share of [0.7, 1]) {
      const wait = Math.round(startTakes * share) + randomInt(50);
      const daemon = start();
      await delay(wait);
      process.kill(daemon.pid, 'SIGKILL');
      await daemon.exited;
      await gone();
      const what = `killed after ${wait} ms`;
      if (share < 1) {
        await a.gateway.attempt([CONNECTOR, 'down']);
        expect(await dump(a.gateway), what).toBe(before);
        continue;
      }
      // The next start finds it, and so does down after that.
      const next = start();
      await next.line(/"msg":"ready"/, 30);
      await next.stop();
      expect(await dump(a.gateway), what).toBe(before);
    }

    // The tunnel beside it goes, and nothing of either is left.
    await a.up();
    await a.gateway.run([CONNECTOR, 'tunnel', 'down', beside]);
    process.kill((await a.status()).pid, 'SIGKILL');
    await gone();
    await a.down();
    expect(await dump(a.gateway)).toBe(clean);
  });
});
