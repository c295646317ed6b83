/**
 * The UAPI socket of an interface, which wg(8) talks to: requests one after the other on any number
 * of connections up to `MAX_CONNECTIONS`, answers written as fast as the reader takes them.
 *
 * Errors: `wg set` prints the right words only for a negative errno (wireguard-go answers so), and
 * `wg show` accepts only a positive one (the specification's), so each gets what it reads.
 */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { constants } from 'node:os';
import type { Log } from '../log.ts';
import { type Tunnel, TunnelError } from '../tunnel.ts';
import { openUnixSocket, type UnixSocket } from '../unix-socket.ts';
import { encodeSnapshot } from './get-response.ts';
import { RequestReader, type UapiRequest } from './request-reader.ts';

/** Where wg(8) looks. */
export const UAPI_DIRECTORY = '/var/run/wireguard';
const MAX_CONNECTIONS = 64;

/**
 * Opens the socket of `tunnel` and serves it until closed.
 *
 * @throws CausewayError SOCKET_IN_USE, PERMISSION or START_FAILED
 */
export function openUapi(
  tunnel: Tunnel,
  log: Log,
  directory: string = UAPI_DIRECTORY,
): Promise<UnixSocket> {
  return openUnixSocket({
    directory,
    directoryMode: 0o755,
    name: `${tunnel.interfaceName}.sock`,
    maxConnections: MAX_CONNECTIONS,
    onConnection: (socket) => {
      socket.on('error', (error) => log.debug({ err: error }, 'UAPI connection ended'));
      serve(socket, tunnel, log).catch((error: unknown) => {
        log.debug({ err: error }, 'UAPI connection ended');
        socket.destroy();
      });
    },
  });
}

async function serve(socket: Socket, tunnel: Tunnel, log: Log): Promise<void> {
  const reader = new RequestReader(interfaceIndexOf);
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
    for (const request of reader.push(chunk as Buffer)) {
      await answer(socket, request, tunnel, log);
      if (request.kind === 'lost') {
        socket.end(() => socket.destroy());
        return;
      }
    }
  }
  if (reader.pending) socket.write(errnoLine(new TunnelError('EPROTO', 'incomplete'), -1));
  socket.end();
}

async function answer(
  socket: Socket,
  request: UapiRequest,
  tunnel: Tunnel,
  log: Log,
): Promise<void> {
  if (request.kind === 'get') {
    for (const piece of encodeSnapshot(tunnel.snapshot())) await write(socket, piece);
    await write(socket, 'errno=0\n\n');
  } else if (request.kind === 'set') {
    await write(socket, await applied(request, tunnel, log));
  } else {
    log.warn({ errno: request.error.errno, reason: request.error.message }, 'UAPI request refused');
    const sign = request.kind === 'refused' && request.operation === 'get' ? 1 : -1;
    await write(socket, errnoLine(request.error, sign));
  }
}

async function applied(
  request: UapiRequest & { kind: 'set' },
  tunnel: Tunnel,
  log: Log,
): Promise<string> {
  try {
    await tunnel.apply(request.change);
    log.debug({ peers: request.change.peers.length }, 'UAPI change applied');
    return 'errno=0\n\n';
  } catch (error) {
    const known = error instanceof TunnelError;
    if (known) log.warn({ errno: error.errno, reason: error.message }, 'UAPI change refused');
    else log.error({ err: error }, 'UAPI change failed');
    return errnoLine(known ? error : new TunnelError('EIO', 'failed'), -1);
  }
}

function errnoLine(error: TunnelError, sign: 1 | -1): string {
  return `errno=${sign * constants.errno[error.errno]}\n\n`;
}

/** Waits while the reader is slow, and ends with the connection. */
async function write(socket: Socket, text: string): Promise<void> {
  if (socket.destroyed) throw new Error('connection closed');
  if (socket.write(text, 'latin1')) return;
  const ended = new AbortController();
  const onClose = (): void => ended.abort();
  socket.once('close', onClose);
  try {
    await once(socket, 'drain', { signal: ended.signal });
  } finally {
    socket.removeListener('close', onClose);
  }
}

/** if_nametoindex(3) by way of sysfs. */
export function interfaceIndexOf(name: string): number | undefined {
  if (!/^[^\s/]{1,15}$/.test(name) || name === '.' || name === '..') return undefined;
  try {
    return Number(readFileSync(`/sys/class/net/${name}/ifindex`, 'latin1'));
  } catch {
    return undefined;
  }
}
