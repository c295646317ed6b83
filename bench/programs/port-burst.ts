/**
 * Runs inside a namespace: `port-burst.ts ADDRESS COUNT`. Sends one datagram to each of COUNT ports of
 * an address, 20,000 a second: a new connection each, for whoever tracks them. Prints how many it sent.
 */
import { createSocket } from 'node:dgram';
import { setTimeout as delay } from 'node:timers/promises';

const PER_SECOND = 20_000;
const STEP_MS = 5;

const [address, count] = [process.argv[2]!, Number(process.argv[3])];
const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
// A port that nobody listens at is said by ICMP, which is no failure here.
socket.on('error', () => {});
await new Promise<void>((resolve) => socket.bind(0, resolve));
const payload = new Uint8Array(8);
const begin = performance.now();
let sent = 0;
while (sent < count) {
  const due = Math.min(count, Math.ceil(((performance.now() - begin) / 1_000) * PER_SECOND));
  for (; sent < due; sent++) socket.send(payload, 1 + sent, address);
  await delay(STEP_MS);
}
await new Promise<void>((resolve) => socket.close(resolve));
process.stdout.write(`${sent}\n`);
