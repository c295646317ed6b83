/**
 * Runs inside a namespace: the client of `service.ts`. Prints one line of JSON, or fails.
 *
 *   client.ts who HOST PORT            what the TCP service saw, and the round-trip time
 *   client.ts who-udp HOST PORT        the same by UDP
 *   client.ts bulk HOST PORT BYTES     sends bytes to the service; Mbit/s
 *   client.ts echo HOST PORT BYTES     sends random bytes and compares what comes back
 *   client.ts datagrams HOST PORT N…   sends a datagram of each size and compares what comes back
 *   client.ts stream HOST PORT         keeps a connection: each line of stdin goes out, each line
 *                                      that comes back is printed
 */
import { createHash, randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';

const [mode, host = '', portText, ...rest] = process.argv.slice(2);
const port = Number(portText);
const CHUNK = 1 << 18;

function print(result: object): void {
  process.stdout.write(`${JSON.stringify(result)}\n`);
}

async function open(request: string): Promise<Socket> {
  const socket = connect({ host, port, noDelay: true });
  await once(socket, 'connect');
  socket.write(`${request}\n`);
  return socket;
}

/** Sends a number of bytes as fast as the connection takes them. */
async function send(socket: Socket, bytes: number, chunk: (size: number) => Buffer): Promise<void> {
  for (let left = bytes; left > 0; left -= CHUNK) {
    if (!socket.write(chunk(Math.min(left, CHUNK)))) await once(socket, 'drain');
  }
}

/** Median time of a few exchanges, the first one left out: it waits for names, caches and threads. */
async function roundTrip(exchangeOnce: () => Promise<unknown>): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < 8; i++) {
    const start = performance.now();
    await exchangeOnce();
    if (i > 0) times.push(performance.now() - start);
  }
  return times.sort((a, b) => a - b)[3]!;
}

async function who(): Promise<object> {
  const socket = await open('echo');
  const lines = createInterface({ input: socket });
  const [line] = (await once(lines, 'line')) as [string];
  const milliseconds = await roundTrip(() => {
    socket.write('request\n');
    return once(lines, 'line');
  });
  socket.destroy();
  return { ...JSON.parse(line), milliseconds };
}

async function bulk(bytes: number): Promise<object> {
  const start = performance.now();
  const socket = await open(`sink ${bytes}`);
  const lines = createInterface({ input: socket });
  const zeros = Buffer.alloc(CHUNK);
  const done = new Promise<void>((resolve, reject) => {
    lines.on('line', (line) => line === 'done' && resolve());
    socket.on('error', reject);
  });
  await send(socket, bytes, (size) => zeros.subarray(0, size));
  await done;
  const seconds = (performance.now() - start) / 1000;
  return { bytes, seconds, mbits: (bytes * 8) / 1e6 / seconds };
}

async function echo(bytes: number): Promise<object> {
  const socket = await open('echo');
  const sent = createHash('sha256');
  const received = createHash('sha256');
  let count = 0;
  let greeted = false;
  const complete = new Promise<void>((resolve, reject) => {
    socket.on('error', reject);
    socket.on('data', (data) => {
      const content = greeted ? data : data.subarray(data.indexOf('\n') + 1);
      greeted = true;
      received.update(content);
      count += content.length;
      if (count >= bytes) resolve();
    });
  });
  await send(socket, bytes, (size) => {
    const chunk = randomBytes(size);
    sent.update(chunk);
    return chunk;
  });
  await complete;
  socket.destroy();
  const equal = sent.digest('hex') === received.digest('hex');
  if (!equal) throw new Error(`${bytes} bytes came back changed`);
  return { bytes, equal };
}

const udp = createSocket({ type: host.includes(':') ? 'udp6' : 'udp4' });

/** Sends a datagram and waits for what comes back. */
async function exchange(payload: Buffer): Promise<Buffer> {
  const timer = setTimeout(() => {
    throw new Error(`no answer to a datagram of ${payload.length} bytes`);
  }, 3000);
  udp.send(payload, port, host);
  const [answer] = (await once(udp, 'message')) as [Buffer];
  clearTimeout(timer);
  return answer;
}

async function whoUdp(): Promise<object> {
  const answer = await exchange(Buffer.from('who'));
  const milliseconds = await roundTrip(() => exchange(Buffer.from('request')));
  return { ...JSON.parse(answer.toString()), milliseconds };
}

async function datagrams(sizes: readonly number[]): Promise<object> {
  for (const size of sizes) {
    const payload = randomBytes(size);
    const answer = await exchange(payload);
    if (!answer.equals(payload)) throw new Error(`a datagram of ${size} bytes came back changed`);
  }
  return { datagrams: sizes.length };
}

async function stream(): Promise<void> {
  const socket = await open('echo');
  createInterface({ input: socket }).on('line', (line) => process.stdout.write(`${line}\n`));
  process.stdin.pipe(socket);
  await once(socket, 'close');
}

switch (mode) {
  case 'who':
    print(await who());
    break;
  case 'who-udp':
    print(await whoUdp());
    break;
  case 'bulk':
    print(await bulk(Number(rest[0])));
    break;
  case 'echo':
    print(await echo(Number(rest[0])));
    break;
  case 'datagrams':
    print(await datagrams(rest.map(Number)));
    break;
  case 'stream':
    await stream();
    break;
  default:
    throw new Error(`no mode ${mode}`);
}
udp.close();
