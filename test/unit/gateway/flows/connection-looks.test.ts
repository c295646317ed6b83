/** What is said when the kernel does not list its connections. */
import { constants } from 'node:os';
import { expect, test } from 'vitest';
import { ConnectionLooks } from '../../../../src/gateway/flows/connection-looks.ts';
import type { Addon } from '../../../../src/native/addon.ts';

test.each([
  ['EINVAL', 'modprobe nf_conntrack_netlink'],
  ['EPERM', 'CAP_NET_ADMIN'],
  ['EMFILE', 'too many open files (error 24)'],
] as const)('%s', async (name, text) => {
  const addon = { openNetlink: () => -constants.errno[name] } as unknown as Addon;
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const looks = new ConnectionLooks(addon, {
    onBegin: () => {},
    onConnection: () => {},
    onEnd: resolve,
    interval: () => 1_000,
  });
  // The timer of the first look holds no process up; the one that waits for it does.
  await looks.once();
  expect(await promise).toBe(false);
  expect(looks.fault).toContain(text);
  looks.close();
});
