/**
 * kill -9 at many moments of a gateway's start: after each of the notices that its changes of the kernel
 * cause, and at moments by chance. Then a start converges, or `down` leaves nothing. One gateway, and
 * other people's rules, routes and filters on its host:
 *
 *      gateway a ──── nat ──── internet ──── edge
 */
import { randomInt } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { CONNECTOR, INTERFACE, MeshLab, type Site } from '../../lab/mesh-lab.ts';
import type { Process } from '../../lab/process.ts';
import { dump, strangers } from '../netns/kernel-dump.ts';
import { netnsSuite } from '../netns/suite.ts';

const NOTICES = 16;
const CHANCES = 10;

netnsSuite('kill -9 at any moment', ['nft', 'sysctl'], () => {
  test('a start converges, and down leaves nothing', { timeout: 300_000 }, async () => {
    await using mesh = await MeshLab.open({ name: 'a', number: 1 });
    const [a] = mesh.sites as [Site];
    await mesh.startEdge();
    await strangers(a);
    const clean = await dump(a.gateway);
    const start = (): Process =>
      a.gateway.start([CONNECTOR, 'up', '--foreground', '--state-dir', a.stateDirectory]);
    await a.up('--token', await mesh.create(a));
    /** But for the number of the interface. */
    const whole = async (): Promise<string> =>
      (await dump(a.gateway)).replace(new RegExp(`^\\d+: ${INTERFACE}`, 'gm'), INTERFACE);
    let wanted = '';
    // What it has when nothing changes any more.
    for (let seen = await whole(); seen !== wanted; seen = await whole()) {
      wanted = seen;
      await delay(1_000);
    }
    await a.down();
    expect(await dump(a.gateway)).toBe(clean);

    const kill = async (daemon: Process): Promise<void> => {
      if (daemon.running) process.kill(daemon.pid, 'SIGKILL');
      await daemon.exited;
      while ((await a.gateway.run(['ip', '-o', 'link'])).includes(INTERFACE)) await delay(20);
    };
    const check = async (what: string, converge: boolean): Promise<void> => {
      if (converge) {
        await a.up();
        // Some of it is put there when the gateway is up already, by what watches its connections.
        const deadline = performance.now() + 10_000;
        while ((await whole()) !== wanted && performance.now() < deadline) await delay(100);
        expect(await whole(), what).toBe(wanted);
      }
      await a.gateway.attempt([CONNECTOR, 'down']);
      expect(await dump(a.gateway), what).toBe(clean);
    };

    for (let notice = 1; notice <= NOTICES; notice++) {
      const monitor = a.gateway.start(['ip', 'monitor', 'link', 'address', 'route', 'rule']);
      let heard = 0;
      const reached = monitor.until(
        (line) => (/^\S/.test(line) && ++heard >= notice ? true : undefined),
        `notice ${notice}`,
        20,
      );
      const daemon = start();
      const ready = daemon.line(/"msg":"ready"/, 20);
      await Promise.race([reached, ready]);
      await kill(daemon);
      await monitor.stop();
      await Promise.allSettled([reached, ready]);
      await check(`killed at notice ${notice}`, notice % 2 === 0);
    }
    for (let chance = 0; chance < CHANCES; chance++) {
      const daemon = start();
      const wait = randomInt(100, 1_500);
      await delay(wait);
      await kill(daemon);
      await check(`killed after ${wait} ms`, chance % 2 === 0);
    }
  });
});
