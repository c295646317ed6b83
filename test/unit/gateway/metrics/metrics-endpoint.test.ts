/** Where the metrics are served: on and off while it runs, and what other requests get. */
import { createServer, Server } from 'node:net';
import { pino } from 'pino';
import { afterEach, expect, test } from 'vitest';
import { parseListenAddress } from '../../../../src/gateway/metrics/listen-address.ts';
import { MetricsEndpoint } from '../../../../src/gateway/metrics/metrics-endpoint.ts';
import { readExposition } from './exposition.ts';
import { status } from './statuses.ts';

const log = pino({ level: 'silent' });
const source = {
  report: async () => status(),
  examined: async () => ({ findings: [], problems: [] }),
};
let warnings: string[];
let open: MetricsEndpoint | undefined;

afterEach(() => open?.close());

function endpoint(from: typeof source = source): MetricsEndpoint {
  warnings = [];
  open = new MetricsEndpoint({ source: from, log, onWarning: (text) => void warnings.push(text) });
  return open;
}

/** A port that was free a moment ago. */
async function freePort(): Promise<number> {
  const server = await listen(0);
  const { port } = server.address() as { port: number };
  await new Promise((done) => server.close(done));
  return port;
}

function listen(port: number): Promise<Server> {
  const server = createServer();
  return new Promise((done) => server.listen(port, '127.0.0.1', () => done(server)));
}

test('serves where it is told, then elsewhere, then nowhere', async () => {
  const metrics = endpoint();
  const [first, second] = [await freePort(), await freePort()];
  await metrics.use(`127.0.0.1:${first}`);
  const response = await fetch(`http://127.0.0.1:${first}/metrics`);
  expect(response.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/);
  expect(readExposition(await response.text()).value('causeway_gateway_netmap_revision')).toBe(42);
  await metrics.use(`[::1]:${second}`);
  await expect(fetch(`http://127.0.0.1:${first}/metrics`)).rejects.toThrow();
  expect((await fetch(`http://[::1]:${second}/metrics`)).status).toBe(200);
  await metrics.use(undefined);
  await expect(fetch(`http://[::1]:${second}/metrics`)).rejects.toThrow();
  expect(warnings).toEqual([]);
});

test('nothing else is answered, and a failure is said', async () => {
  const broken = { ...source, report: () => Promise.reject(new Error('no status')) };
  const metrics = endpoint(broken);
  const base = `http://127.0.0.1:${await freePort()}`;
  await metrics.use(base.slice(7));
  expect((await fetch(`${base}/`)).status).toBe(404);
  expect((await fetch(`${base}/metrics`, { method: 'POST', body: 'x' })).status).toBe(405);
  const failed = await fetch(`${base}/metrics`);
  expect(failed.status).toBe(500);
  expect(await failed.text()).toContain('no status');
});

test('a port that is taken is said once, and nothing fails', async () => {
  const taken = await listen(0);
  const { port } = taken.address() as { port: number };
  const metrics = endpoint();
  await metrics.use(`127.0.0.1:${port}`);
  expect(warnings).toEqual([expect.stringContaining('EADDRINUSE')]);
  await new Promise((done) => taken.close(done));
  await metrics.use(`127.0.0.1:${port}`);
  expect((await fetch(`http://127.0.0.1:${port}/metrics`)).status).toBe(200);
});

test('a connection that cannot be accepted, for want of descriptors, ends nothing', async () => {
  const metrics = endpoint();
  const port = await freePort();
  await metrics.use(`127.0.0.1:${port}`);
  const { _getActiveHandles } = process as unknown as { _getActiveHandles(): unknown[] };
  const servers = _getActiveHandles().filter((handle) => handle instanceof Server);
  const server = servers.find((one) => (one.address() as { port?: number } | null)?.port === port);
  // As node:net says it.
  server!.emit('error', Object.assign(new Error('accept EMFILE'), { code: 'EMFILE' }));
  expect((await fetch(`http://127.0.0.1:${port}/metrics`)).status).toBe(200);
});

test.each([
  ['127.0.0.1:9780', { host: '127.0.0.1', port: 9_780 }],
  ['[::1]:1', { host: '::1', port: 1 }],
  ['0.0.0.0:65535', { host: '0.0.0.0', port: 65_535 }],
  ['::1:9780', undefined],
  ['[::1]', undefined],
  ['127.0.0.1', undefined],
  ['127.0.0.1:0', undefined],
  ['127.0.0.1:65536', undefined],
  ['127.0.0.999:80', undefined],
  ['[127.0.0.1]:80', undefined],
  ['localhost:80', undefined],
  ['9780', undefined],
  ['', undefined],
])('%j is %j', (text, expected) => {
  expect(parseListenAddress(text)).toEqual(expected);
});
