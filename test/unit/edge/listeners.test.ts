/** Clients that do not read, and connections that never become TLS. */
import { once } from 'node:events';
import type { RequestListener } from 'node:http';
import { connect as connectTcp, type Socket } from 'node:net';
import { join } from 'node:path';
import { connect, type TLSSocket } from 'node:tls';
import { afterEach, beforeAll, expect, test } from 'vitest';
import type { EdgeCertificate } from '../../../src/edge/certificate.ts';
import {
  type Listener,
  listenTls,
  listenUnix,
  markStreaming,
} from '../../../src/edge/listeners.ts';
import { createSelfSigned } from '../../../src/edge/self-signed.ts';
import { temporaryDirectory } from './edge-under-test.ts';

let certificate: Pick<EdgeCertificate, 'certificate' | 'key'>;
let listener: Listener;
const sockets: Socket[] = [];
beforeAll(async () => {
  certificate = await createSelfSigned(['127.0.0.1'], new Date());
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await listener.close();
});

async function listen(onRequest: RequestListener, answerTimeout?: number): Promise<void> {
  const where = { host: '127.0.0.1', port: 0 };
  listener = await listenTls(where, certificate, onRequest, answerTimeout);
}

/** Asks, and reads nothing of what comes. */
function ask(socket: Socket): Socket {
  sockets.push(socket);
  socket.on('error', () => {});
  socket.pause();
  socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n');
  return socket;
}

function openTls(): TLSSocket {
  return connect({ port: listener.port, host: '127.0.0.1', rejectUnauthorized: false });
}

async function openTcp(): Promise<Socket> {
  const socket = connectTcp({ port: listener.port, host: '127.0.0.1' });
  sockets.push(socket);
  socket.on('error', () => {});
  socket.resume();
  await once(socket, 'connect');
  return socket;
}

/** More than the buffers of both ends hold. */
const LARGE = Buffer.alloc(64 << 20);

test('who does not read the answer is ended', async () => {
  const ended = Promise.withResolvers<boolean>();
  await listen((_, response) => {
    response.once('close', () => ended.resolve(response.writableFinished));
    response.end(LARGE);
  }, 300);
  ask(openTls());
  expect(await ended.promise).toBe(false);
});

test('also on the unix socket', async () => {
  const ended = Promise.withResolvers<boolean>();
  const path = join(temporaryDirectory(), 'api.sock');
  listener = await listenUnix(
    path,
    (_, response) => {
      response.once('close', () => ended.resolve(response.writableFinished));
      response.end(LARGE);
    },
    300,
  );
  ask(connectTcp({ path }));
  expect(await ended.promise).toBe(false);
});

test('an answer that is read, and a stream, go on for as long as they take', async () => {
  let stream: (text: string) => void = () => {};
  await listen((_, response) => {
    markStreaming(response);
    response.writeHead(200);
    stream = (text) => response.write(text);
    stream('first');
  }, 50);
  const socket = ask(openTls());
  socket.setEncoding('utf8');
  let text = '';
  socket.on('data', (part) => {
    text += part;
    if (!text.includes('first')) return;
    // Only after several times the limit.
    setTimeout(() => stream('last'), 300);
  });
  socket.resume();
  while (!text.includes('last')) await once(socket, 'data');
});

test('a connection counts for its source before its TLS handshake', async () => {
  await listen((_, response) => void response.end('ok'));
  const silent: Socket[] = [];
  for (let i = 0; i < 256; i++) silent.push(await openTcp());
  const one = await openTcp();
  if (!one.closed) await once(one, 'close');
  expect(silent.filter(({ closed }) => closed)).toHaveLength(0);
  // One that ends makes room for another.
  const first = silent[0]!;
  first.destroy();
  const isLetIn = (): Promise<boolean> =>
    new Promise((resolve) => {
      const socket = openTls();
      sockets.push(socket);
      socket.once('secureConnect', () => resolve(true));
      socket.once('error', () => resolve(false));
    });
  while (!(await isLetIn()));
});
