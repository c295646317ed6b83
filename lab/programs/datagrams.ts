/**
 * Runs inside a namespace: `datagrams.ts HOST PORT [FROM-ADDRESS FROM-PORT]`. Sends what it is told as
 * it stands, and counts what is answered. Each line of stdin is a datagram: hexadecimal digits, then
 * perhaps a number of times. An empty line is answered with `sent N answered M`, half a second later.
 */
import { createSocket } from 'node:dgram';
import { createInterface } from 'node:readline';

const [host = '', port, address, from = '0'] = process.argv.slice(2);
const SILENCE = 500;
/** Sent in one go, so that the socket's buffer takes them. */
const BURST = 256;

const socket = createSocket({
  type: host.includes(':') ? 'udp6' : 'udp4',
  sendBufferSize: 4 << 20,
});
let sent = 0;
let answered = 0;
socket.on('message', () => {
  answered++;
});

function send(bytes: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.send(bytes, Number(port), host, (error) => (error ? reject(error) : resolve()));
  });
}

async function sendTimes(bytes: Uint8Array, times: number): Promise<void> {
  for (let left = times; left > 0; left -= BURST) {
    const burst = Array.from({ length: Math.min(left, BURST) }, () => send(bytes));
    await Promise.all(burst);
    sent += burst.length;
  }
}

let work = Promise.resolve();
createInterface({ input: process.stdin }).on('line', (line) => {
  const [digits = '', times = '1'] = line.split(' ');
  if (digits !== '') {
    work = work.then(() => sendTimes(Buffer.from(digits, 'hex'), Number(times)));
    return;
  }
  work = work.then(async () => {
    await new Promise((resolve) => setTimeout(resolve, SILENCE));
    process.stdout.write(`sent ${sent} answered ${answered}\n`);
  });
});
socket.bind({ port: Number(from), ...(address ? { address } : {}) }, () => {
  process.stdout.write('ready\n');
});
