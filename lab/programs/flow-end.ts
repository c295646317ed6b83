/**
 * Runs inside a namespace: sends single UDP datagrams from many addresses, and tells which came.
 *
 *   flow-end.ts receive SIGNAL PORT…   on each SIGNAL (a datagram to that port): the numbers that came
 *                                      since the last, as one line of JSON
 *   flow-end.ts send                   each line of stdin is JSON: [[number, source, destination, port]…];
 *                                      the last one of them is the signal
 */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

const [mode, ...ports] = process.argv.slice(2);
const say = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

async function open(address: string, port: number): Promise<Socket> {
  const socket = createSocket({
    type: address.includes(':') ? 'udp6' : 'udp4',
    ipv6Only: address.includes(':'),
  });
  socket.bind(port, address);
  await once(socket, 'listening');
  return socket;
}

if (mode === 'receive') {
  const came: number[] = [];
  for (const [i, port] of ports.entries()) {
    for (const address of ['0.0.0.0', '::']) {
      const socket = await open(address, Number(port));
      socket.on('message', (message) => {
        if (i > 0) came.push(Number(message));
        // What lies in the other sockets already is read before.
        else setImmediate(setImmediate, () => say(JSON.stringify(came.splice(0).sort())));
      });
    }
  }
} else {
  const sockets = new Map<string, Socket>();
  createInterface({ input: process.stdin }).on('line', async (line) => {
    for (const [number, source, destination, port] of JSON.parse(line)) {
      const socket = sockets.get(source) ?? (await open(source, 0));
      sockets.set(source, socket);
      await new Promise((sent) => socket.send(String(number), port, destination, sent));
    }
  });
}
say('ready');
