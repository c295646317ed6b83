/**
 * The daemon's own socket, IFNAME.sock in the runtime directory, for `connector tunnel status` and `down`:
 * one line of JSON in, one line of JSON out, any number of times per connection.
 *
 *   {"request":"status"}   {"status":{…}}
 *   {"request":"stop"}     {"stopping":true}, then the connection ends when everything is removed
 *   anything else          {"error":"…"}
 */
import { readdirSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { z } from 'zod';
import { CausewayError } from '../errors.ts';
import { RUNTIME_ROOT, runtimeDirectories, runtimeDirectory } from './runtime-directory.ts';
import { TunnelStatus } from './status.ts';
import { openUnixSocket, type UnixSocket } from './unix-socket.ts';

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
 * The status of a running daemon; undefined if none runs for that interface. Looked for in our own
 * network namespace first, then in the others.
 *
 * @throws CausewayError PERMISSION, or START_FAILED when what answers is no daemon of ours
 */
export async function requestStatus(
  interfaceName: string,
  directories: readonly string[] = knownDirectories(),
): Promise<TunnelStatus | undefined> {
  const text = await askFirst(interfaceName, 'status', directories);
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
  directories: readonly string[] = knownDirectories(),
): Promise<boolean> {
  return (await askFirst(interfaceName, 'stop', directories)) !== undefined;
}

/** The tunnels that are up in every network namespace, in order of their names. */
export async function requestAllStatus(): Promise<TunnelStatus[]> {
  const asked = knownDirectories().flatMap((directory) =>
    socketsIn(directory).map((name) => requestStatus(name, [directory])),
  );
  const found = (await Promise.all(asked)).filter((status) => status !== undefined);
  return found.sort((a, b) => a.interface.localeCompare(b.interface));
}

function knownDirectories(): string[] {
  try {
    return runtimeDirectories();
  } catch (error) {
    const message = `No permission to look into ${RUNTIME_ROOT}: run as root.`;
    throw new CausewayError('PERMISSION', message, { cause: error });
  }
}

/** Names of the interfaces that have a socket there, alive or not. */
function socketsIn(directory: string): string[] {
  try {
    return readdirSync(directory)
      .filter((name) => name.endsWith(SUFFIX) && !name.startsWith('.'))
      .map((name) => name.slice(0, -SUFFIX.length));
  } catch {
    return [];
  }
}

async function askFirst(
  interfaceName: string,
  request: 'status' | 'stop',
  directories: readonly string[],
): Promise<string | undefined> {
  for (const directory of directories) {
    const text = await ask(interfaceName, request, directory);
    if (text !== undefined) return text;
  }
  return undefined;
}

/**
 * Sends one request. Reads one line of a status; of a stop until the daemon closes, which it does
 * when everything is removed. Undefined if nobody listens.
 */
function ask(
  interfaceName: string,
  request: 'status' | 'stop',
  directory: string,
): Promise<string | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<string | undefined>();
  const socket = connect(join(directory, interfaceName + SUFFIX));
  let text = '';
  socket.setEncoding('utf8');
  socket.on('connect', () => socket.write(`${JSON.stringify({ request })}\n`));
  socket.on('data', (part: string) => {
    text += part;
    if (text.length > MAX_RESPONSE_LENGTH) socket.destroy(new Error('answer too long'));
    if (request === 'status' && part.includes('\n')) socket.end();
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
