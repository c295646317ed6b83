/** Throws in a poll's callback; the next event must come all the same. */
import { loadAddon, WRITABLE } from '../../../src/native/addon.ts';

const addon = loadAddon();
const { fd } = addon.openUdp(4, 0, 0, 1 << 16, false);
let events = 0;

process.on('uncaughtException', (error) => {
  process.stdout.write(`uncaught: ${error.message}\n`);
});

const poll = addon.createPoll(fd, () => {
  if (++events === 1) throw new Error('from the callback');
  process.stdout.write('next event\n');
  addon.closePoll(poll);
  addon.close(fd);
});
addon.setPoll(poll, WRITABLE);
