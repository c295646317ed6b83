/** A capture on a real socket: names, clients that read slowly, half-close or go away. */
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import {
  CaptureWriter,
  createCaptureRing,
  DIRECTION_IN,
} from '../../../../src/gateway/capture/capture-ring.ts';
import { streamCapture } from '../../../../src/gateway/capture/capture-session.ts';
import { FRAME_RECORDS, FrameReader } from '../../../../src/gateway/capture/capture-stream.ts';
import { type CapturedPacket, packetsIn } from '../../../../src/gateway/capture/captured-packet.ts';
import {
  type CaptureOptions,
  TunnelCapture,
} from '../../../../src/gateway/capture/tunnel-capture.ts';
import { keyToBase64, keyToHex } from '../../../../src/keys.ts';
import { FakeTunnel } from '../fake-tunnel.ts';

const KEYS = [1, 2, 3].map((n) => new Uint8Array(32).fill(n));
const [PLANT, OFFICE, SPARE] = KEYS.map(keyToBase64) as [string, string, string];

let folder: string;
let server: Server;
let names: Map<string, string>;
let numbers: Map<string, number>;
let writer: CaptureWriter;
let asked: CaptureOptions | undefined;
let told: (readonly number[])[];
const closed = vi.fn();

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'capture-'));
  names = new Map([
    [PLANT, 'plant'],
    [SPARE, 'plant'],
    [OFFICE, 'office'],
  ]);
  numbers = new Map(KEYS.map((key, i) => [keyToHex(key), i]));
  told = [];
  closed.mockClear();
  const tunnel = new FakeTunnel('cw0');
  tunnel.capture = async (options) => {
    asked = options;
    const ring = createCaptureRing(1 << 20);
    writer = new CaptureWriter(ring);
    const usePeers = (peers: readonly number[]) => void told.push(peers);
    return new TunnelCapture({ ring, numbers, usePeers, onClose: closed });
  };
  server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => socket.destroy());
    socket.once('data', (line) => {
      const request: unknown = JSON.parse(String(line));
      streamCapture(tunnel, () => names, request, socket)
        .catch((error: Error) => socket.write(`${JSON.stringify(error.message)}\n`))
        .finally(() => socket.end());
    });
  });
  await new Promise<void>((done) => server.listen(join(folder, 'socket'), done));
});

afterEach(async () => {
  await new Promise((done) => server.close(done));
  rmSync(folder, { recursive: true });
});

/** A client that has read the first line. */
class Client {
  readonly socket: Socket;
  readonly line: Promise<string>;
  readonly packets: CapturedPacket[] = [];
  readonly news: unknown[] = [];
  readonly ended: Promise<void>;

  constructor(request: object = {}) {
    this.socket = connect({ path: join(folder, 'socket'), allowHalfOpen: true });
    const first = Promise.withResolvers<string>();
    this.line = first.promise;
    const frames = new FrameReader();
    let before: Buffer | undefined = Buffer.alloc(0);
    this.socket.on('data', (bytes: Buffer) => {
      let rest = bytes;
      if (before !== undefined) {
        before = Buffer.concat([before, bytes]);
        const end = before.indexOf(10);
        if (end < 0) return;
        first.resolve(before.toString('utf8', 0, end));
        rest = before.subarray(end + 1);
        before = undefined;
      }
      frames.push(rest);
      for (let frame = frames.next(); frame !== undefined; frame = frames.next()) {
        if (frame.kind === FRAME_RECORDS) this.packets.push(...packetsIn(frame.payload));
        else this.news.push(JSON.parse(frame.payload.toString()));
      }
    });
    this.ended = new Promise((resolve) => this.socket.once('close', () => resolve()));
    this.socket.once('end', () => this.socket.end());
    this.socket.write(`${JSON.stringify(request)}\n`);
  }
}

function write(peer: number, size = 100): void {
  writer.write(
    new Uint8Array(size + 8).fill(peer),
    0,
    size,
    size,
    peer,
    0,
    DIRECTION_IN,
    0,
    Date.now(),
  );
}

test('records come with the names of their peers, told once', async () => {
  const client = new Client();
  expect(JSON.parse(await client.line)).toEqual({ capturing: { interface: 'cw0' } });
  expect(asked).toEqual({ filter: undefined, peers: undefined, snaplen: 65_535 });
  for (const peer of [0, 0, 1, -1, 7]) write(peer);
  await vi.waitFor(() => expect(client.packets).toHaveLength(5));
  // A peer that came since the names were looked at last.
  expect(client.news).toEqual([
    { peer: 0, name: 'plant' },
    { peer: 1, name: 'office' },
    { peer: 7, name: 'peer 7' },
  ]);
  client.socket.end();
  await client.ended;
  expect(client.news.at(-1)).toEqual({ captured: 5, lost: 0 });
  expect(closed).toHaveBeenCalled();
});

test('what is in the ring when the client half-closes still comes', async () => {
  const client = new Client();
  await client.line;
  for (let i = 0; i < 500; i++) write(i % 2);
  client.socket.end();
  await client.ended;
  expect(client.packets).toHaveLength(500);
  expect(client.news.at(-1)).toEqual({ captured: 500, lost: 0 });
});

test('a client that does not read loses packets and hears how many; nobody waits for it', async () => {
  const client = new Client();
  await client.line;
  client.socket.pause();
  let written = 0;
  // More than the ring, the socket's buffers and both ends hold together.
  for (let round = 0; round < 40; round++) {
    for (let i = 0; i < 500; i++, written++) write(1, 1_000);
    await new Promise((done) => setImmediate(done));
  }
  const { promise: quiet, resolve } = Promise.withResolvers<void>();
  setTimeout(resolve, 50);
  await quiet;
  client.socket.resume();
  client.socket.end();
  await client.ended;
  const { captured, lost } = client.news.at(-1) as { captured: number; lost: number };
  expect(lost).toBeGreaterThan(0);
  expect(captured + lost).toBe(written);
  expect(client.packets).toHaveLength(captured);
  // Where they are missing is in the records, but for those behind the last one.
  const gaps = client.packets.reduce((sum, { lostBefore }) => sum + lostBefore, 0);
  expect(gaps).toBeLessThanOrEqual(lost);
});

test('a client that goes away ends its capture', async () => {
  const client = new Client();
  await client.line;
  client.socket.destroy();
  await vi.waitFor(() => expect(closed).toHaveBeenCalled());
});

test('a name is all its replicas, by their numbers as they are now', async () => {
  const client = new Client({ peer: 'plant', filter: 'tcp', snaplen: 96 });
  await client.line;
  const keys = [0, 2].map((i) => keyToHex(KEYS[i]!));
  expect(asked).toEqual({ filter: 'tcp', peers: keys, snaplen: 96 });
  numbers.set(keyToHex(KEYS[2]!), 9);
  await vi.waitFor(() => expect(told.at(-1)).toEqual([0, 9]), { timeout: 5_000 });
  client.socket.end();
  await client.ended;
});

test.each([
  [{ peer: 'nobody' }, /^There is no peer nobody: .*\(plant, office\)\.$/],
  [{ peer: keyToBase64(new Uint8Array(32).fill(5)) }, /^There is no peer BQUF/],
  [{ filter: 'tcp prt 1' }, /^The filter is wrong at character 5: /],
  [{ filter: 5 }, /to be texts/],
  [{ snaplen: 5 }, /snaplen is to be 20 to 65535/],
  [{ snaplen: 1e9 }, /snaplen is to be/],
])('%j is refused', async (request, words) => {
  const client = new Client(request);
  expect(JSON.parse(await client.line)).toMatch(words);
  client.socket.end();
  await client.ended;
});
