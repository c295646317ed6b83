/**
 * The daemon's own socket, IFNAME.sock in the runtime directory, for `connector tunnel status` and `down`:
 * one line of JSON in, one line of JSON out, any number of times per connection.
 *
 *   {"request":"status"}   {"status":{…}}
 *   {"request":"stop"}     {"stopping":true}, then the connection ends when everything is removed
 *   anything else          {"error":"…"}
 */
import type { Socket } from 'node:net';
import { runtimeDirectory } from './runtime-directory.ts';
import type { TunnelStatus } from './status.ts';
import { openUnixSocket, type UnixSocket } from './unix-socket.ts';

export const SUFFIX = '.sock';
const MAX_CONNECTIONS = 16;
const MAX_REQUEST_LENGTH = 4_096;

export type LocalResponse =
  | { readonly status: TunnelStatus }
  | { readonly stopping: true }
  | { readonly error: string };

export interface LocalHandlers {
  status(): TunnelStatus;
  /** Starts the daemon's end; connections are closed when it is done. */
  stop(): void;
}

/** @throws CausewayError SOCKET_IN_USE, PERMISSION or START_FAILED */
export function openLocalSocket(
  interfaceName: string,
  handlers: LocalHandlers,
  directory: string = runtimeDirectory(),
): Promise<UnixSocket> {
  return openUnixSocket({
    directory,
    directoryMode: 0o700,
    name: interfaceName + SUFFIX,
    maxConnections: MAX_CONNECTIONS,
    onConnection: (socket) => {
      socket.on('error', () => socket.destroy());
      serve(socket, handlers);
    },
  });
}

function serve(socket: Socket, handlers: LocalHandlers): void {
  let partial = '';
  let stopping = false;
  socket.setEncoding('utf8');
  socket.on('data', (text: string) => {
    const lines = (partial + text).split('\n');
    partial = lines.pop()!;
    for (const line of lines) {
      const response = respond(line, handlers);
      stopping ||= 'stopping' in response;
      socket.write(`${JSON.stringify(response)}\n`);
    }
    if (partial.length > MAX_REQUEST_LENGTH) {
      socket.end(`${JSON.stringify({ error: 'a request is too long' })}\n`);
      socket.destroySoon();
    }
  });
  // Who asked to stop waits, half-closed or not, for the end of the daemon.
  socket.on('end', () => {
    if (!stopping) socket.end();
  });
}

/** The answer to one line. */
export function respond(line: string, handlers: LocalHandlers): LocalResponse {
  if (line.length > MAX_REQUEST_LENGTH) return { error: 'a request is too long' };
  const request = parseRequest(line);
  if (request === undefined) {
    return { error: 'a request is one line, {"request":"status"} or {"request":"stop"}' };
  }
  if (request === 'status') return { status: handlers.status() };
  handlers.stop();
  return { stopping: true };
}

/** By hand: for two words a library of schemas would cost the daemon a fifth of its memory. */
function parseRequest(line: string): 'status' | 'stop' | undefined {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value !== 'object' || value === null || !('request' in value)) return undefined;
    const { request } = value;
    return request === 'status' || request === 'stop' ? request : undefined;
  } catch {
    return undefined;
  }
}
