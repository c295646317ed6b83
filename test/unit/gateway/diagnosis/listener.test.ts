/** The listener on loopback, and whoever comes there: strangers, nonsense, the slow and the many. */
import { request } from 'node:http';
import { connect, createServer, type Server } from 'node:net';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { DiagnosisListener } from '../../../../src/gateway/diagnosis/diagnosis-listener.ts';
import type { FlowAnswer, FlowRequest } from '../../../../src/gateway/diagnosis/protocol.ts';
import { MAX_REQUEST } from '../../../../src/gateway/diagnosis/protocol.ts';

const PEER = '127.0.0.2';
const OTHER = '127.0.0.4';
const HERE = '127.0.0.1';
const PATH = '/v1/flow-facts';
const QUESTION = { source: '10.1.0.10', destination: '10.2.0.10', protocol: 6, port: 22 };

let port: number;
let listener: DiagnosisListener;
let asked: { id: string; flow: FlowRequest }[];
let faults: (string | undefined)[];
let answer: () => Promise<FlowAnswer | undefined>;

/** A port that nobody has. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, HERE, resolve));
  const { port: free } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return free;
}

beforeEach(async () => {
  port = await freePort();
  asked = [];
  faults = [];
  answer = async () => ({ refused: 'not-ours', revision: 3 });
  listener = new DiagnosisListener({
    log: pino({ level: 'silent' }),
    onFault: () => faults.push(listener.fault),
    port,
    patience: 1_000,
    askerAt: (address) =>
      address === PEER ? { id: 'peer' } : address === OTHER ? { id: 'other' } : undefined,
    answer: async ({ id }, flow) => {
      asked.push({ id, flow });
      return answer();
    },
  });
  await listener.use([HERE]);
});
afterEach(() => listener.close());

interface Reply {
  readonly status: number;
  readonly text: string;
}

function ask(body: string, more: { path?: string; method?: string; from?: string } = {}) {
  const { promise, resolve, reject } = Promise.withResolvers<Reply>();
  const asking = request({
    ...{ host: HERE, port, localAddress: more.from ?? PEER, agent: false },
    ...{ path: more.path ?? PATH, method: more.method ?? 'POST' },
    headers: { 'content-length': Buffer.byteLength(body) },
  });
  asking.on('response', (response) => {
    let text = '';
    response.setEncoding('utf8').on('data', (part: string) => {
      text += part;
    });
    response.on('end', () => resolve({ status: response.statusCode!, text }));
  });
  asking.on('error', reject);
  asking.end(body);
  return promise;
}

/** Writes to a connection; resolves with what came back when it is closed. */
function speak(text: string, from = PEER): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const socket = connect({ host: HERE, port, localAddress: from }, () => socket.write(text));
  let back = '';
  socket.setEncoding('utf8').on('data', (part: string) => {
    back += part;
  });
  socket.on('error', () => {});
  socket.on('close', () => resolve(back));
  return promise;
}

test('a peer is answered, and its question counted', async () => {
  expect(await ask(JSON.stringify(QUESTION))).toEqual({
    ...{ status: 200, text: JSON.stringify({ refused: 'not-ours', revision: 3 }) },
  });
  expect(asked).toEqual([{ id: 'peer', flow: QUESTION }]);
  expect(listener.counts).toEqual({ answered: 1, stranger: 0, wrong: 0, limited: 0 });
});

test('a stranger hears nothing, and nothing of it is read', async () => {
  const text = `POST ${PATH} HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}`;
  expect(await speak(text, '127.0.0.3')).toBe('');
  await expect(ask(JSON.stringify(QUESTION), { from: '127.0.0.3' })).rejects.toThrow();
  expect(asked).toEqual([]);
  expect(listener.counts).toMatchObject({ stranger: 2, wrong: 0, answered: 0 });
});

test.each([
  ['', 400],
  ['x', 400],
  ['null', 400],
  ['[]', 400],
  ['{}', 400],
  [JSON.stringify({ ...QUESTION, source: '10.1.0.300' }), 400],
  [JSON.stringify({ ...QUESTION, source: '10.1.0.1/24' }), 400],
  [JSON.stringify({ ...QUESTION, source: '10.1.0.1; id' }), 400],
  [JSON.stringify({ ...QUESTION, source: '-all' }), 400],
  [JSON.stringify({ ...QUESTION, destination: 'fe80::1%lan0' }), 400],
  [JSON.stringify({ ...QUESTION, destination: ['10.2.0.10'] }), 400],
  [JSON.stringify({ ...QUESTION, protocol: 256 }), 400],
  [JSON.stringify({ ...QUESTION, protocol: '6' }), 400],
  [JSON.stringify({ ...QUESTION, port: -1 }), 400],
  [JSON.stringify({ ...QUESTION, port: 1e9 }), 400],
  [`{"__proto__":${JSON.stringify(QUESTION)}}`, 400],
  [JSON.stringify({ ...QUESTION, more: 'x'.repeat(MAX_REQUEST) }), 400],
])('nonsense, number %#', async (body, status) => {
  expect((await ask(body)).status).toBe(status);
  expect(asked).toEqual([]);
  expect(listener.counts).toMatchObject({ wrong: 1, answered: 0 });
});

test('what a later version adds is passed over', async () => {
  expect((await ask(JSON.stringify({ ...QUESTION, more: 1 }))).status).toBe(200);
  expect(asked[0]?.flow).toEqual(QUESTION);
});

test('other paths and methods', async () => {
  expect((await ask('{}', { path: '/' })).status).toBe(404);
  expect((await ask('{}', { path: `${PATH}?x` })).status).toBe(404);
  expect((await ask('', { method: 'GET' })).status).toBe(404);
  expect((await ask('{}', { method: 'DELETE' })).status).toBe(404);
});

test.each([
  'nonsense\r\n\r\n',
  '\0'.repeat(100),
  `GET ${PATH} HTTP/9.9\r\n\r\n`,
  `POST ${PATH} HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n`,
  `POST ${PATH} HTTP/1.1\r\nhost: x\r\nx: ${'y'.repeat(10_000)}\r\n\r\n`,
])('a broken request ends the connection, number %#', async (text) => {
  expect(await speak(text)).toBe('');
  expect(listener.counts.answered).toBe(0);
  expect((await ask(JSON.stringify(QUESTION))).status).toBe(200);
});

test('a second request on a connection is not answered', async () => {
  const body = JSON.stringify(QUESTION);
  const one = `POST ${PATH} HTTP/1.1\r\nhost: x\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
  const back = await speak(one + one);
  expect(back.match(/HTTP\/1\.1 200/g)).toHaveLength(1);
  expect(asked).toHaveLength(1);
});

test('too many questions', async () => {
  const statuses: number[] = [];
  for (let i = 0; i < 30; i++) statuses.push((await ask(JSON.stringify(QUESTION))).status);
  expect(statuses.slice(0, 20)).toEqual(Array(20).fill(200));
  expect(statuses).toContain(429);
  expect(listener.counts.limited).toBeGreaterThan(0);
});

test('two at a time of one asker; who leaves makes room', async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  answer = async () => {
    await promise;
    return { refused: 'not-ours', revision: 3 };
  };
  const open = [ask(JSON.stringify(QUESTION)), ask(JSON.stringify(QUESTION))];
  while (asked.length < 2) await new Promise((next) => setImmediate(next));
  expect((await ask(JSON.stringify(QUESTION))).status).toBe(429);
  resolve();
  expect((await Promise.all(open)).map(({ status }) => status)).toEqual([200, 200]);
  expect((await ask(JSON.stringify(QUESTION))).status).toBe(200);
});

test('who hangs up does not get its place back before the work for it is done', async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  answer = async () => {
    await promise;
    return { refused: 'not-ours', revision: 3 };
  };
  const body = JSON.stringify(QUESTION);
  for (let i = 0; i < 2; i++) {
    const socket = connect({ host: HERE, port, localAddress: PEER });
    socket.on('error', () => {});
    socket.write(
      `POST ${PATH} HTTP/1.1\r\nhost: x\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    );
    while (asked.length === i) await new Promise((next) => setImmediate(next));
    await new Promise<void>((gone) => socket.destroy().once('close', () => gone()));
  }
  // What reaches the listener after the ends of those two.
  expect((await ask(JSON.stringify(QUESTION))).status).toBe(429);
  expect((await ask(JSON.stringify(QUESTION))).status).toBe(429);
  expect(asked).toHaveLength(2);
  resolve();
  await expect.poll(async () => (await ask(JSON.stringify(QUESTION))).status).toBe(200);
});

test('one asker cannot take the connections of the others', async () => {
  const sockets = Array.from({ length: 12 }, () => {
    return connect({ host: HERE, port, localAddress: PEER }).on('error', () => {});
  });
  const closed = sockets.map((one) => new Promise((gone) => one.resume().once('close', gone)));
  // All beyond its share are turned away at once.
  await Promise.race([
    Promise.all(closed.slice(4)),
    new Promise((_, reject) => setTimeout(() => reject(new Error('they stay')), 700)),
  ]);
  expect((await ask(JSON.stringify(QUESTION), { from: OTHER })).status).toBe(200);
  for (const socket of sockets) socket.destroy();
});

test('who says nothing is not waited for, and connections are few', async () => {
  const closed: Promise<void>[] = [];
  for (let i = 0; i < 24; i++) {
    const socket = connect({ host: HERE, port, localAddress: PEER });
    socket.on('error', () => {});
    socket.resume();
    closed.push(new Promise((resolve) => socket.on('close', () => resolve())));
  }
  const began = performance.now();
  await Promise.all(closed);
  expect(performance.now() - began).toBeLessThan(10_000);
  expect((await ask(JSON.stringify(QUESTION))).status).toBe(200);
});

test('an answer that fails ends the connection, and nothing else', async () => {
  answer = () => Promise.reject(new Error('nft is not here'));
  await expect(ask(JSON.stringify(QUESTION))).rejects.toThrow();
  answer = async () => undefined;
  expect((await ask(JSON.stringify(QUESTION))).status).toBe(400);
});

describe('addresses', () => {
  const answers = async (host: string): Promise<boolean> => {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const socket = connect({ host, port, localAddress: PEER }, () => resolve(true));
    socket.on('error', () => resolve(false));
    return promise.finally(() => socket.destroy());
  };

  test('it listens where it is told to, and nowhere else', async () => {
    expect(await answers(HERE)).toBe(true);
    expect(await answers('127.0.0.9')).toBe(false);
    await listener.use(['127.0.0.9', '127.0.0.8']);
    expect(await answers(HERE)).toBe(false);
    expect(await answers('127.0.0.9')).toBe(true);
    expect(await answers('127.0.0.8')).toBe(true);
    await listener.use([]);
    expect(await answers('127.0.0.9')).toBe(false);
    await listener.use([HERE]);
    await listener.close();
    expect(await answers(HERE)).toBe(false);
    await listener.use([HERE]);
    expect(await answers(HERE)).toBe(false);
  });

  test('what the kernel refuses is said, tried again, and keeps nothing from the rest', async () => {
    const other: Server = createServer();
    await new Promise<void>((resolve) => other.listen(port, '127.0.0.9', resolve));
    await listener.use(['127.0.0.9', '127.0.0.8']);
    expect(listener.fault).toContain('EADDRINUSE');
    expect(await answers('127.0.0.8')).toBe(true);
    await new Promise((resolve) => other.close(resolve));
    await expect.poll(() => listener.fault, { timeout: 10_000 }).toBeUndefined();
    expect(await answers('127.0.0.9')).toBe(true);
    // An address that this host does not have yet.
    await listener.use(['192.0.2.77']);
    expect(listener.fault).toContain('EADDRNOTAVAIL');
    await listener.use([HERE]);
    expect(listener.fault).toBeUndefined();
    const [taken, free, missing, none, ...more] = faults;
    expect([taken, free]).toEqual([expect.stringContaining('EADDRINUSE'), undefined]);
    expect([missing, none]).toEqual([expect.stringContaining('EADDRNOTAVAIL'), undefined]);
    expect(more).toEqual([]);
  });
});
