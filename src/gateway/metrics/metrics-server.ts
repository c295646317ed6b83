/**
 * HTTP for the metrics: `GET /metrics` and nothing else, without authentication, for who reaches the
 * address. Requests are bounded in number, size and time.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { GatewayMetrics, type MetricsSource } from './gateway-metrics.ts';
import type { ListenAddress } from './listen-address.ts';

const MAX_CONNECTIONS = 16;
const TIMEOUT_MS = 10_000;

/** Resolves when it listens. */
export async function openMetricsServer(
  { host, port }: ListenAddress,
  source: MetricsSource,
): Promise<{ readonly port: number; close(): Promise<void> }> {
  const metrics = new GatewayMetrics(source);
  /** Those that ask at the same time get the same answer. */
  let answering: Promise<string> | undefined;
  const text = (): Promise<string> => {
    answering ??= metrics.text().finally(() => {
      answering = undefined;
    });
    return answering;
  };
  const server = createServer(
    { maxHeaderSize: 8_192, requestTimeout: TIMEOUT_MS, keepAliveTimeout: TIMEOUT_MS },
    (request, response) => void answer(request, response, metrics.contentType, text),
  );
  server.maxConnections = MAX_CONNECTIONS;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen({ host, port, exclusive: true }, resolve);
  await promise;
  server.off('error', reject);
  // A connection that cannot be accepted, for want of descriptors: whoever asks comes again.
  server.on('error', () => {});
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : port,
    close: async () => {
      const closed = new Promise<void>((done) => server.close(() => done()));
      server.closeAllConnections();
      await closed;
    },
  };
}

async function answer(
  { method, url = '' }: IncomingMessage,
  response: ServerResponse,
  contentType: string,
  text: () => Promise<string>,
): Promise<void> {
  const say = (status: number, body: string, type = 'text/plain; charset=utf-8'): void => {
    response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) });
    response.end(method === 'HEAD' ? undefined : body);
  };
  if (method !== 'GET' && method !== 'HEAD') say(405, 'GET /metrics\n');
  else if (url.split('?')[0] !== '/metrics') say(404, 'The metrics are at /metrics.\n');
  else {
    try {
      say(200, await text(), contentType);
    } catch (error) {
      say(500, `The metrics could not be read: ${(error as Error).message}\n`);
    }
  }
}
