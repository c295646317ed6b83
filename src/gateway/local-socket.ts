/**
 * The daemon's own socket, /run/causeway/IFNAME.sock, for `connector tunnel status` and `down`:
 * one line of JSON in, one line of JSON out, any number of times per connection.
 *
 *   {"request":"status"}   {"status":{…}}
 *   {"request":"stop"}     {"stopping":true}, then the connection ends when everything is removed
 *   anything else          {"error":"…"}
 */
import { readdir } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { z } from 'zod';
import { CausewayError } from '../errors.ts';
import { TunnelStatus } from './status.ts';
import { openUnixSocket, type UnixSocket } from './unix-socket.ts';

export const RUNTIME_DIRECTORY = '/run/causeway';
const SUFFIX = '.sock';
const MAX_CONNECTIONS = 16;
const MAX_REQUEST_LENGTH = 4_096;
/** A status of many peers is long; nothing legitimate is longer. */
const MAX_RESPONSE_LENGTH = 256 * 1024 * 1024;

const Request = z.strictObject({ request: z.enum(['status', 'stop']) });
const Response = z.union([
  z.object({ status: TunnelStatus }),
  z.object({ stopping: z.literal(true) }),
  z.object({ error: z.string() }),
]);

export interface LocalHandlers {
  status(): TunnelStatus;
  /** Starts the daemon's end; connections are closed when it is done. */
  stop(): void;
}

/** @throws CausewayError SOCKET_IN_USE, PERMISSION or START_FAILED */
export function openLocalSocket(
  interfaceName: string,
  handlers: LocalHandlers,
  directory: string = RUNTIME_DIRECTORY,
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
export function respond(line: string, handlers: LocalHandlers): z.infer<typeof Response> {
  if (line.length > MAX_REQUEST_LENGTH) return { error: 'a request is too long' };
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return { error: 'a request is one line of JSON' };
  }
  const request = Request.safeParse(value);
  if (!request.success) return { error: 'the requests are {"request":"status"} and "stop"' };
  if (request.data.request === 'status') return { status: handlers.status() };
  handlers.stop();
  return { stopping: true };
}

/**
 * The status of a running daemon; undefined if none runs for that interface.
 *
 * @throws CausewayError PERMISSION, or START_FAILED when what answers is no daemon of ours
 */
export async function requestStatus(
  interfaceName: string,
  directory: string = RUNTIME_DIRECTORY,
): Promise<TunnelStatus | undefined> {
  const text = await ask(interfaceName, 'status', directory, true);
  if (text === undefined) return undefined;
  const response = Response.safeParse(parseJson(text));
  if (response.success && 'status' in response.data) return response.data.status;
  throw new CausewayError(
    'START_FAILED',
    `The daemon of ${interfaceName} gave no status: it may be of another version, restart it.`,
  );
}

/** Ends a daemon and waits until it has removed everything; false if none runs. */
export async function requestStop(
  interfaceName: string,
  directory: string = RUNTIME_DIRECTORY,
): Promise<boolean> {
  return (await ask(interfaceName, 'stop', directory, false)) !== undefined;
}

/** Names of the interfaces that have a socket, alive or not. */
export async function listTunnels(directory: string = RUNTIME_DIRECTORY): Promise<string[]> {
  try {
    const names = await readdir(directory);
    return names
      .filter((name) => name.endsWith(SUFFIX) && !name.startsWith('.'))
      .map((name) => name.slice(0, -SUFFIX.length))
      .sort();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return [];
    throw new CausewayError('PERMISSION', `No permission to look into ${directory}: run as root.`, {
      cause: error,
    });
  }
}

/** Sends one request; reads one line, or until the daemon closes. Undefined if nobody listens. */
function ask(
  interfaceName: string,
  request: 'status' | 'stop',
  directory: string,
  oneLine: boolean,
): Promise<string | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<string | undefined>();
  const socket = connect(join(directory, interfaceName + SUFFIX));
  let text = '';
  socket.setEncoding('utf8');
  socket.on('connect', () => socket.write(`${JSON.stringify({ request })}\n`));
  socket.on('data', (part: string) => {
    text += part;
    if (text.length > MAX_RESPONSE_LENGTH) socket.destroy(new Error('answer too long'));
    if (oneLine && part.includes('\n')) socket.end();
  });
  socket.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ECONNREFUSED') resolve(undefined);
    else if (error.code === 'EACCES' || error.code === 'EPERM') {
      const message = `No permission to talk to the daemon of ${interfaceName}: run as root.`;
      reject(new CausewayError('PERMISSION', message, { cause: error }));
    } else resolve(text);
  });
  socket.on('close', () => resolve(text));
  return promise;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
