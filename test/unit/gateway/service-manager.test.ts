/** sd_notify(3): what a daemon says to the service manager, and when it says nothing. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { NotifySocket } from '../../../lab/notify-socket.ts';
import { ServiceManager } from '../../../src/gateway/service-manager.ts';
import { loadAddon } from '../../../src/native/addon.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'notify-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

test.each(['path', 'abstract'])('a life, on a socket with %s name', async (kind) => {
  const address = kind === 'path' ? join(folder, 'socket') : `@causeway-test-${process.pid}`;
  await using socket = await NotifySocket.open(address);
  const service = new ServiceManager(address);
  service.ready();
  service.watch({ answers: async () => {}, status: () => 'two peers' });
  service.reloading();
  service.stopping();
  await socket.process.line(/^STOPPING=1$/);
  const [monotonic] = socket.said.filter((line) => line.startsWith('MONOTONIC_USEC='));
  expect(Number(monotonic?.split('=')[1])).toBeGreaterThan(0);
  expect(socket.said.filter((line) => line !== monotonic)).toEqual([
    'READY=1',
    'STATUS=two peers',
    'RELOADING=1',
    'STOPPING=1',
  ]);
});

test('the watchdog is fed for as long as there are answers, and no longer', async () => {
  await using socket = await NotifySocket.open(join(folder, 'watchdog'));
  const service = new ServiceManager(socket.address, 30);
  let asked = 0;
  let looks = 0;
  const hung = Promise.withResolvers<void>();
  const answers = (): Promise<void> => {
    asked++;
    if (asked === 2) return Promise.reject(new Error('not now'));
    return asked <= 4 ? Promise.resolve() : new Promise(() => {});
  };
  const status = (): string => {
    looks++;
    if (asked === 5 && looks > 12) hung.resolve();
    return asked >= 3 ? 'later' : 'first';
  };
  service.watch({ answers, status });
  await hung.promise;
  service.stopping();
  await socket.process.line(/^STOPPING=1$/);
  expect(asked).toBe(5);
  expect(socket.said.filter((line) => line === 'WATCHDOG=1')).toHaveLength(3);
  // Only what is news.
  expect(socket.said.filter((line) => line.startsWith('STATUS='))).toEqual([
    'STATUS=first',
    'STATUS=later',
  ]);
});

test('what is inherited, once, and by the process that it is meant for', async () => {
  const environment: NodeJS.ProcessEnv = {
    NOTIFY_SOCKET: join(folder, 'none'),
    WATCHDOG_USEC: '30000',
    WATCHDOG_PID: '1',
    PATH: '/bin',
  };
  const service = ServiceManager.inherited(environment);
  expect(environment).toEqual({ PATH: '/bin' });
  let asked = false;
  const answers = async (): Promise<void> => {
    asked = true;
  };
  // Nobody listens there, and the watchdog is another process's: neither is an error.
  service.ready();
  service.watch({ answers, status: () => '' });
  service.stopping();
  expect(asked).toBe(false);
  for (const address of [undefined, '', 'relative', 'vsock:2:1', `/${'x'.repeat(200)}`]) {
    new ServiceManager(address, 10).ready();
  }
});

test('datagrams to addresses that are none', () => {
  const addon = loadAddon();
  const send = (address: string): number =>
    addon.sendUnixDatagram(Buffer.from(address), Buffer.from('x'));
  expect(send('')).toBe(-22);
  expect(send('x'.repeat(109))).toBe(-36);
  expect(send(join(folder, 'nobody'))).toBe(-2);
});
