/** Asking another gateway that is no gateway: what it sends becomes no words of ours, and takes no time. */
import { createServer, type Server, type Socket } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { askGateway } from '../../../../src/gateway/diagnosis/diagnosis-client.ts';
import { MAX_ANSWER } from '../../../../src/gateway/diagnosis/protocol.ts';
import { sideFacts } from '../explain/facts.ts';

const HERE = '127.0.0.1';
const THERE = '127.0.0.7';
const FLOW = { source: '10.1.0.10', destination: '10.2.0.10', protocol: 1, port: 8 };

let server: Server | undefined;
const sockets = new Set<Socket>();

/** A host at which every connection is answered by these bytes, after its request. */
async function reply(text: string | undefined): Promise<number> {
  server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.once('data', () => text !== undefined && socket.end(text));
  });
  await new Promise<void>((resolve) => server!.listen(0, THERE, resolve));
  return (server.address() as { port: number }).port;
}
afterEach(() => {
  for (const socket of sockets) socket.destroy();
  sockets.clear();
  server?.close();
});

const http = (body: string, status = '200 OK'): string =>
  `HTTP/1.1 ${status}\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;

async function ask(text: string | undefined, within = 5_000) {
  return askGateway(HERE, THERE, FLOW, within, await reply(text));
}

test('facts, and refusals', async () => {
  const facts = sideFacts(2, 1);
  expect(await ask(http(JSON.stringify({ facts, more: 1 })))).toEqual({ facts });
  const refused = { refused: 'not-yours', revision: 5 };
  expect(await ask(http(JSON.stringify(refused)))).toEqual({ kind: 'not-yours', revision: 5 });
  expect(await ask(http('{}', '429 Too Many Requests'))).toEqual({ kind: 'busy' });
});

const FACTS = sideFacts(2, 1);
const ESCAPE = '\u001b[2J';
test.each([
  ['', 'nothing'],
  ['SSH-2.0-OpenSSH_9.2\r\n', 'another protocol'],
  [http('{}'), 'no answer'],
  [http('{"facts":'), 'half an answer'],
  [http('{}', '500 Oops'), 'an error'],
  [http(`"${'x'.repeat(MAX_ANSWER)}"`), 'too much'],
  [`HTTP/1.1 200 OK\r\nx: ${'y'.repeat(20_000)}\r\n\r\n`, 'a long head'],
  [http(JSON.stringify({ facts: { ...FACTS, connector: `b${ESCAPE}` } })), 'an escape in a name'],
  [http(JSON.stringify({ facts: { ...FACTS, device: 'lan0; reboot' } })), 'a command'],
  [
    http(
      JSON.stringify({
        facts: { ...FACTS, near: { kind: 'pending', prefix: '10.2.0.0/24; reboot' } },
      }),
    ),
    'a command in a prefix',
  ],
  [
    http(
      JSON.stringify({
        facts: {
          ...FACTS,
          far: { ...FACTS.far, local: { prefix: '10.1.0.0/24', device: ESCAPE, connected: true } },
        },
      }),
    ),
    'an escape in the name of an interface',
  ],
])('strange, the %#th of them', async (text) => {
  expect(await ask(text)).toEqual({ kind: 'strange' });
});

test('who says nothing is not waited for, and who does not listen is known at once', async () => {
  expect(await ask(undefined, 200)).toEqual({ kind: 'timeout' });
  server?.close();
  expect(await askGateway(HERE, '127.0.0.9', FLOW, 5_000, 9)).toEqual({ kind: 'refused' });
});
