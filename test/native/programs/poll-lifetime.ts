/** Lets go of many polls and has them collected, then lives until the last one is closed. */
import { setImmediate } from 'node:timers/promises';
import { loadAddon, READABLE, WRITABLE } from '../../../src/native/addon.ts';

const addon = loadAddon();
const collect = (globalThis as { gc?: () => void }).gc!;
const { fd } = addon.openUdp(4, 0, 0, 1 << 16, false);

let waiting = 0;
const registry = new FinalizationRegistry<undefined>(() => {
  waiting -= 1;
});
function make(): void {
  for (let i = 0; i < 100; i++) {
    const poll = addon.createPoll(fd, () => undefined);
    if (i % 2 === 0) addon.setPoll(poll, READABLE);
    if (i % 3 === 0) addon.closePoll(poll);
    registry.register(poll, undefined);
    waiting += 1;
  }
}
make();
for (let turn = 0; waiting > 0 && turn < 1000; turn++) {
  collect();
  await setImmediate();
}
process.stdout.write(waiting === 0 ? 'collected\n' : `${waiting} not collected\n`);

const last = addon.createPoll(fd, () => {
  process.stdout.write('ended by the poll\n');
  addon.closePoll(last);
  addon.close(fd);
});
addon.setPoll(last, WRITABLE);
