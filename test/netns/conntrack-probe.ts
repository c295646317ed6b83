/**
 * Run inside a namespace by conntrack.test.ts: `conntrack-probe.ts FILE`. At a line of input it reads the kernel's connections
 * by our own socket: all of them as lines of JSON into FILE, then the ends of as many as a buffer of
 * 4 KiB holds while this process does not read, and of one that ends later.
 */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { addressText } from '../../src/gateway/flows/flow-entry.ts';
import { loadAddon } from '../../src/native/addon.ts';
import { CONNTRACK_GROUPS, type ConntrackRecord } from '../../src/tun/conntrack-messages.ts';
import { ConntrackSocket } from '../../src/tun/conntrack-socket.ts';

const listed: string[] = [];
let ends = 0;
let lost = 0;

function line({ family, protocol, original, reply, status }: ConntrackRecord): string {
  const from = `${addressText(family, original.source)}:${original.sourcePort}`;
  const to = `${addressText(family, original.destination)}:${original.destinationPort}`;
  const answers = `${addressText(family, reply.source)}:${reply.sourcePort}`;
  return `${protocol} ${from} ${to} ${answers} ${status & 2 ? 'answered' : 'silent'}`;
}

function open(groups: number, buffer: number, done: () => void): ConntrackSocket {
  const socket = ConntrackSocket.open(loadAddon(), groups, buffer, {
    onConnection: (record) => {
      if (record.destroyed) ends++;
      else listed.push(line(record));
    },
    onDone: done,
    onError: (errno) => process.stdout.write(`error ${errno}\n`),
    onLost: () => lost++,
  });
  if (typeof socket === 'number') throw new Error(`errno ${-socket}`);
  return socket;
}

const events = open(CONNTRACK_GROUPS.destroy, 4_096, () => {});
const table = open(0, 1 << 20, () => {
  writeFileSync(process.argv[2]!, listed.join('\n'));
  table.close();
  // Nothing is read while this waits.
  execFileSync('conntrack', ['-F'], { stdio: 'ignore' });
  const timer = setInterval(() => {
    if (lost === 0) return;
    clearInterval(timer);
    afterFlush();
  }, 10);
});
// The kernel has events only of connections that began while somebody listens.
process.stdin.once('data', () => table.dump());
process.stdout.write('ready\n');

function afterFlush(): void {
  process.stdout.write(`flushed ${JSON.stringify({ ends, lost })}\n`);
  ends = 0;
  const timer = setInterval(() => {
    if (ends === 0) return;
    clearInterval(timer);
    events.close();
    process.stdin.destroy();
    process.stdout.write('heard again\n');
  }, 10);
}
