/** What strangers cannot do to an edge, whatever they send. */
import { once } from 'node:events';
import { Agent, request } from 'node:https';
import { connect, type TLSSocket } from 'node:tls';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connectToEdge } from '../../../src/gateway/mesh/edge-connection.ts';
import { EdgeUnderTest, enrolBody, until } from './edge-under-test.ts';

let edge: EdgeUnderTest;
beforeAll(async () => {
  edge = await EdgeUnderTest.start();
});
afterAll(() => edge.stop());

function openSocket(): TLSSocket {
  const socket = connect({ port: edge.edge.port, host: '127.0.0.1', rejectUnauthorized: false });
  socket.on('error', () => {});
  return socket;
}

/** Everything that comes until the other side ends. */
async function readAll(socket: TLSSocket): Promise<string> {
  socket.setEncoding('utf8');
  let text = '';
  socket.on('data', (part: string) => {
    text += part;
  });
  await once(socket, 'close');
  return text;
}

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** What is alive in this process, in bytes. */
function heldBytes(): number {
  collectGarbage();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

test('10,000 requests without a valid token are answered shortly, and hurt nobody', async () => {
  const token = await edge.token('read-only');
  const { joinToken } = await edge.create({ name: 'meanwhile' });
  const agent = new Agent({ keepAlive: true, maxSockets: 16, rejectUnauthorized: false });
  const before = heldBytes();
  const statuses = new Map<number, number>();
  const one = (i: number): Promise<void> =>
    new Promise((resolve, reject) => {
      const headers = { authorization: `Bearer cwt_${String(i).padStart(43, 'x')}` };
      const options = { agent, headers, port: edge.edge.port, path: '/v1/status' };
      const sent = request({ ...options, host: '127.0.0.1' }, (response) => {
        const { statusCode = 0 } = response;
        statuses.set(statusCode, (statuses.get(statusCode) ?? 0) + 1);
        response.resume().once('end', resolve);
      });
      sent.once('error', reject).end();
    });
  let sent = 0;
  const flood = Promise.all(
    Array.from({ length: 16 }, async () => {
      while (sent < 10_000) await one(sent++);
    }),
  );
  const valid: number[] = [];
  for (let i = 0; i < 10; i++) {
    valid.push((await edge.call('GET', '/v1/status', { token })).status);
  }
  // Who joins from the same address meanwhile is let in as well.
  expect((await edge.call('POST', '/v1/enrol', { body: enrolBody(joinToken) })).status).toBe(201);
  await flood;
  agent.destroy();
  expect(new Set(valid)).toEqual(new Set([200]));
  expect([...statuses.keys()].sort()).toEqual([401, 429]);
  expect(statuses.get(401)).toBeLessThan(100);
  // Nothing is kept of a refused request: 10,000 would have 3 KB each.
  expect(heldBytes() - before).toBeLessThan(30e6);
  expect(edge.logged.length).toBeLessThan(100);
  // One failure in two seconds is forgiven.
  await until(async () => {
    const { json, headers } = await edge.call('GET', '/v1/status', { token: 'cwt_x' });
    return json.code === 'TOO_MANY_REQUESTS' && Number(headers['retry-after']) > 0;
  });
}, 60_000);

describe('a body of 10 MB', () => {
  test('that says its length is refused before it is sent', async () => {
    const socket = openSocket();
    const answer = readAll(socket);
    socket.write(
      'POST /v1/enrol HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 10485760\r\n\r\n',
    );
    expect(await answer).toMatch(/^HTTP\/1\.1 413 [\s\S]*REQUEST_TOO_LARGE/);
  });

  test('that does not is refused when it is too long', async () => {
    const socket = openSocket();
    const answer = readAll(socket);
    socket.write(
      'POST /v1/enrol HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n',
    );
    const chunk = 'x'.repeat(65_536);
    let sent = 0;
    while (sent < 10_485_760 && !socket.destroyed && socket.writable) {
      socket.write(`10000\r\n${chunk}\r\n`);
      sent += chunk.length;
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    expect(await answer).toMatch(/^HTTP\/1\.1 413 /);
    expect(sent).toBeLessThan(5_000_000);
  });

  test('with a wrong token is refused before it is looked at', async () => {
    const text = 'x'.repeat(300_000);
    const headers = { 'content-type': 'application/json' };
    const answer = await edge.call('POST', '/v1/vnets', { token: 'wrong', headers, text });
    expect([401, 429]).toContain(answer.status);
  });
});

test('headers of 100 kB, no HTTP at all, and a request cut off', async () => {
  const long = openSocket();
  const first = readAll(long);
  long.write(`GET / HTTP/1.1\r\nhost: x\r\nx-long: ${'y'.repeat(100_000)}\r\n\r\n`);
  expect(await first).toMatch(/^HTTP\/1\.1 431 /);
  const nonsense = openSocket();
  const second = readAll(nonsense);
  nonsense.write('\u0000\u0001\u0002 nonsense\r\n\r\n');
  expect(await second).toMatch(/^HTTP\/1\.1 400 /);
  const cut = openSocket();
  await once(cut, 'secureConnect');
  cut.write('POST /v1/enrol HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{');
  cut.destroy();
  expect((await edge.call('GET', '/healthz')).status).toBe(200);
});

test('a client that leaves in the middle of its request is no error of ours', async () => {
  const before = edge.logged.length;
  const socket = openSocket();
  await once(socket, 'secureConnect');
  const head = 'POST /v1/enrol HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n';
  socket.write(`${head}content-length: 100\r\n\r\n{`);
  // What comes first is taken first.
  await edge.call('GET', '/healthz');
  socket.destroy();
  await until(() => edge.logged.slice(before).some((line) => line.includes('in the middle')));
  const levels = edge.logged.slice(before).map((line) => JSON.parse(line).level);
  expect(Math.max(...levels)).toBe(20);
});

test('one address has a bounded number of connections', async () => {
  const sockets = Array.from({ length: 300 }, openSocket);
  try {
    let ended = 0;
    for (const socket of sockets) socket.once('close', () => ended++);
    await until(() => ended >= 300 - 256);
    expect((await edge.call('GET', '/healthz', { local: true })).status).toBe(200);
    expect(ended).toBe(300 - 256);
  } finally {
    for (const socket of sockets) socket.destroy();
  }
  // Who closes his connections may open others.
  await until(
    async () => (await edge.call('GET', '/healthz').catch(() => undefined))?.status === 200,
  );
}, 60_000);

test('only TLS 1.3, and the key that the pin names', async () => {
  const old = connect({
    port: edge.edge.port,
    host: '127.0.0.1',
    rejectUnauthorized: false,
    maxVersion: 'TLSv1.2',
  });
  const [error] = (await once(old, 'error')) as [Error];
  expect(error.message).toMatch(/protocol version/i);
  const url = `https://127.0.0.1:${edge.edge.port}`;
  const socket = await connectToEdge(url, [edge.edge.tlsPin]);
  socket.destroy();
  const wrong = connectToEdge(url, ['0'.repeat(64)]);
  await expect(wrong).rejects.toMatchObject({ code: 'EDGE_UNTRUSTED' });
  await expect(connectToEdge(url, [null])).rejects.toMatchObject({ code: 'EDGE_UNTRUSTED' });
});
