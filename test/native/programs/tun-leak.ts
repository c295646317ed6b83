/** Opens and closes TUN devices, and fails to; the descriptors that are left. */
import { readdirSync } from 'node:fs';
import { loadAddon } from '../../../src/native/addon.ts';

const addon = loadAddon();
const count = Number(process.argv[2]);
const descriptors = (): number => readdirSync('/proc/self/fd').length;
const before = descriptors();
const held = addon.openTun('held', true, false, true, 1420);
for (let i = 0; i < count; i++) {
  const { fd, error, name } = addon.openTun('leak%d', true, i % 2 === 0, i % 3 !== 0, 1280);
  if (fd < 0 || !name.startsWith('leak')) throw new Error(`errno ${error}`);
  const netlink = addon.openNetlink(1, fd, 0, 1 << 20);
  if (netlink < 0) throw new Error(`errno ${-netlink}`);
  addon.close(netlink);
  addon.close(fd);
  if (addon.tunName(fd) !== '') throw new Error('the device is still there');
  // Taken; an MTU that no device has; a name that none may have.
  for (const [wrong, mtu] of [
    ['held', 0],
    ['leak%d', 1_000_000],
    ['no/slash', 0],
  ] as const) {
    const refused = addon.openTun(wrong, true, false, true, mtu);
    if (refused.fd !== -1 || refused.error === 0) throw new Error(`${wrong} was opened`);
  }
}
addon.close(held.fd);
const left = descriptors() - before;
process.stdout.write(`left over: ${left}\n`);
