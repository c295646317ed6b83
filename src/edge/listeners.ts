/**
 * Where the API is served: TLS for everybody, and a unix socket (0600) for whoever may open it. Times,
 * headers and numbers of connections are bounded, so that a client that is slow or says nothing costs
 * little and not for long.
 */

import { unlink } from 'node:fs/promises';
import {
  createServer as createHttpServer,
  type Server as HttpServer,
  type IncomingMessage,
  type RequestListener,
  type ServerResponse,
} from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { SecureContextOptions } from 'node:tls';
import { CausewayError } from '../errors.ts';
import type { EdgeCertificate } from './certificate.ts';
import { sourceKey } from './failure-limiter.ts';

const MAX_HEADER_SIZE = 16 * 1_024;
const LIMITS = {
  maxHeaderSize: MAX_HEADER_SIZE,
  headersTimeout: 10_000,
  requestTimeout: 30_000,
  keepAliveTimeout: 10_000,
  connectionsCheckingInterval: 5_000,
} as const;
/** Streams of replicas included. */
const MAX_CONNECTIONS = 20_000;
const MAX_LOCAL_CONNECTIONS = 64;
/** Connections of one source that are not streams: more would wait for nobody. */
const MAX_PER_SOURCE = 256;
const HANDSHAKE_TIMEOUT = 10_000;
/** From a request to the end of its answer, unless that is a stream, in ms. */
const ANSWER_TIMEOUT = 60_000;

export interface Listener {
  /** TCP port; 0 for a unix socket. */
  readonly port: number;
  /** Ends every connection. */
  close(): Promise<void>;
}

/** A certificate and its key. */
type KeyPair = Pick<EdgeCertificate, 'certificate' | 'key'>;

export interface TlsListener extends Listener {
  /** For connections from now on; those that are open stay. */
  useCertificate(certificate: KeyPair): void;
}

/** @throws CausewayError PORT_IN_USE, PERMISSION, START_FAILED */
export async function listenTls(
  { host, port }: { readonly host: string; readonly port: number },
  certificate: KeyPair,
  onRequest: RequestListener,
  answerTimeout = ANSWER_TIMEOUT,
): Promise<TlsListener> {
  const server = createHttpsServer({
    ...LIMITS,
    ...contextOf(certificate),
    handshakeTimeout: HANDSHAKE_TIMEOUT,
    ALPNProtocols: ['http/1.1'],
  });
  boundAnswers(server, answerTimeout);
  server.on('request', onRequest);
  server.maxConnections = MAX_CONNECTIONS;
  boundSources(server);
  const where = { host, port, ipv6Only: false };
  const useCertificate = (next: KeyPair): void => server.setSecureContext(contextOf(next));
  try {
    return { ...(await listen(server, where, `${host}, TCP port ${port}`)), useCertificate };
  } catch (error) {
    const { code } = (error as Error).cause as NodeJS.ErrnoException;
    if (host !== '::' || code !== 'EAFNOSUPPORT') throw error;
    // A kernel without IPv6.
    const listener = await listen(server, { ...where, host: '0.0.0.0' }, `TCP port ${port}`);
    return { ...listener, useCertificate };
  }
}

function contextOf({ certificate, key }: KeyPair): SecureContextOptions {
  return { cert: certificate, key, minVersion: 'TLSv1.3' };
}

/**
 * The lock on the data directory is held, so a socket that is there belongs to nobody.
 *
 * @throws CausewayError PERMISSION, START_FAILED
 */
export async function listenUnix(
  path: string,
  onRequest: RequestListener,
  answerTimeout = ANSWER_TIMEOUT,
): Promise<Listener> {
  const server = createHttpServer(LIMITS);
  boundAnswers(server, answerTimeout);
  server.on('request', onRequest);
  server.maxConnections = MAX_LOCAL_CONNECTIONS;
  await unlink(path).catch(() => {});
  // bind(2) happens inside `listen`, so the umask holds for it and nothing else.
  const umask = process.umask(0o177);
  const listening = listen(server, { path }, path);
  process.umask(umask);
  return listening;
}

async function listen(
  server: HttpServer,
  where: { host: string; port: number; ipv6Only: boolean } | { path: string },
  name: string,
): Promise<Listener> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen(where, () => resolve());
  try {
    await promise;
  } catch (error) {
    throw explain(error as NodeJS.ErrnoException, name);
  } finally {
    server.off('error', reject);
  }
  const sockets = new Set<Socket>();
  refuseUnreadable(server);
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  const address = server.address();
  return {
    port: typeof address === 'object' ? ((address as AddressInfo | null)?.port ?? 0) : 0,
    close: async () => {
      const closed = new Promise<void>((done) => server.close(() => done()));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/** What is no HTTP gets the shortest answer there is, and the connection ends. */
function refuseUnreadable(server: HttpServer): void {
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
    if ((socket as { secureConnecting?: boolean }).secureConnecting === true) {
      // Nothing can be written before the TLS handshake is done: an answer would wait for ever, and
      // the connection with it.
      socket.destroy();
      return;
    }
    if (socket.writable && error.code !== 'ECONNRESET') {
      const status =
        error.code === 'HPE_HEADER_OVERFLOW'
          ? '431 Request Header Fields Too Large'
          : '400 Bad Request';
      socket.end(`HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`);
    }
    socket.destroySoon();
  });
}

/** What is undone when an answer turns out to be a stream. */
const deadlines = new WeakMap<ServerResponse, NodeJS.Timeout>();
const releases = new WeakMap<Socket, () => void>();

/**
 * The answer is a replica's stream: it has no end to wait for, and its connection counts for its
 * source no longer.
 */
export function markStreaming(response: ServerResponse): void {
  clearTimeout(deadlines.get(response));
  if (response.socket !== null) releases.get(response.socket)?.();
}

/** Who does not read his answer does not keep it, and the connection, for ever. */
function boundAnswers(server: HttpServer, timeout: number): void {
  server.on('request', ({ socket }: IncomingMessage, response: ServerResponse) => {
    const deadline = setTimeout(() => socket.destroy(), timeout).unref();
    deadlines.set(response, deadline);
    response.once('close', () => clearTimeout(deadline));
  });
}

/** One source cannot take all connections, whether or not they have got as far as TLS. */
function boundSources(server: HttpServer): void {
  const counts = new Map<string, number>();
  /** By address and port of the peer, which TCP and TLS socket have in common. */
  const counted = new Map<string, () => void>();
  server.on('connection', (socket: Socket) => {
    const source = sourceKey(socket.remoteAddress ?? '');
    const count = counts.get(source) ?? 0;
    if (count >= MAX_PER_SOURCE) {
      socket.destroy();
      return;
    }
    counts.set(source, count + 1);
    const peer = peerOf(socket);
    const release = (): void => {
      if (counted.get(peer) !== release) return;
      counted.delete(peer);
      const left = counts.get(source)! - 1;
      if (left === 0) counts.delete(source);
      else counts.set(source, left);
    };
    counted.set(peer, release);
    socket.once('close', release);
  });
  server.on('secureConnection', (socket: Socket) => {
    const release = counted.get(peerOf(socket));
    if (release !== undefined) releases.set(socket, release);
  });
}

function peerOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}

function explain(error: NodeJS.ErrnoException, name: string): CausewayError {
  if (error.code === 'EADDRINUSE') {
    const text = `${name} is in use: end what uses it (\`ss -tlnp\` shows it), or give another --listen.`;
    return new CausewayError('PORT_IN_USE', text, { cause: error });
  }
  if (error.code === 'EACCES' || error.code === 'EPERM') {
    const text = `No permission to listen on ${name}: run as root, or take a port from 1024 on.`;
    return new CausewayError('PERMISSION', text, { cause: error });
  }
  const text = `The API cannot listen on ${name}: ${error.message}.`;
  return new CausewayError('START_FAILED', text, { cause: error });
}
