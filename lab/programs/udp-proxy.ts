/**
 * Runs inside a namespace: `node udp-proxy.ts LISTEN-PORT HOST PORT [DELAY [JITTER [LOSS]]]`. Passes
 * datagrams between its clients and one host, each delayed by DELAY plus up to JITTER milliseconds
 * (so that they overtake each other) and dropped with probability LOSS. The random numbers are the
 * same in every run.
 */
import { createSocket, type Socket } from 'node:dgram';

const [listen, host = '', port, delay = 0, jitter = 0, loss = 0] = process.argv
  .slice(2)
  .map((value, i) => (i === 1 ? value : Number(value))) as [
  number,
  string,
  number,
  number?,
  number?,
  number?,
];

let seed = 1;
/** A number in [0, 1): mulberry32. */
function random(): number {
  seed = (seed + 0x6d2b79f5) | 0;
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
}

function pass(send: () => void): void {
  if (random() < loss) return;
  setTimeout(send, delay + random() * jitter);
}

/** One socket towards the host for each client, so that the answers find back. */
const outward = new Map<string, Socket>();
const inward = createSocket({ type: 'udp4', recvBufferSize: 4 << 20 });

inward.on('message', (bytes, client) => {
  const key = `${client.address} ${client.port}`;
  let socket = outward.get(key);
  if (!socket) {
    socket = createSocket({ type: 'udp4', recvBufferSize: 4 << 20 });
    socket.on('message', (answer) => pass(() => inward.send(answer, client.port, client.address)));
    outward.set(key, socket);
  }
  const to = socket;
  pass(() => to.send(bytes, port, host));
});
inward.bind(listen, () => process.stdout.write('ready\n'));
