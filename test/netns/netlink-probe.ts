/**
 * Run inside a namespace by rtnetlink.test.ts: prints what our decoder makes of the kernel's
 * messages, a line of JSON each. First argument: a link to ask for; then it listens until its
 * standard input ends.
 */
import { loadAddon, READABLE } from '../../src/native/addon.ts';
import { decodeNetlink, encodeLinkRequest, NETLINK_GROUPS } from '../../src/tun/rtnetlink.ts';

const addon = loadAddon();
const groups = Object.values(NETLINK_GROUPS).reduce((all, bit) => all | bit, 0);
const fd = addon.openNetlink(groups, -1, 0, 1 << 20);
const buffer = new Uint8Array(65_536);
const poll = addon.createPoll(fd, () => {
  for (;;) {
    const size = addon.receive(fd, buffer);
    if (size <= 0) return;
    for (const event of decodeNetlink(buffer, size)) {
      const bytes = 'address' in event ? { address: [...event.address] } : {};
      process.stdout.write(`${JSON.stringify({ ...event, ...bytes })}\n`);
    }
  }
});
addon.setPoll(poll, READABLE);
addon.send(fd, encodeLinkRequest(process.argv[2]!, 1));
addon.send(fd, encodeLinkRequest('no-such-link', 2));
process.stdin.resume();
process.stdin.on('end', () => addon.closePoll(poll));
