/**
 * The daemon's own socket, IFNAME.sock in the runtime directory, for the commands `status`, `down` and
 * their like: one line of JSON in, one line of JSON out, any number of times per connection.
 *
 *   {"request":"status"}   {"status":{…}}
 *   {"request":"mesh"}     {"mesh":{…}}, of a gateway under a control plane
 *   {"request":"explain","arguments":{…}}   {"explanation":{…}}, of the same (explain/explanation.ts)
 *   {"request":"capture","arguments":{…}}   {"capturing":{…}}, then frames (capture/capture-stream.ts)
 *                          until the client half-closes; the connection ends with it
 *   {"request":"stop","arguments":"gateway"|"tunnel"}   {"stopping":true}, then the connection ends when
 *                          everything is removed; refused by a daemon of the other kind
 *   anything else          {"error":"…"}, with a "code" where docs/errors.md has one
 *
 * Arguments are checked by who answers.
 */
import type { Socket } from 'node:net';
import { CausewayError, type ErrorCode } from '../errors.ts';
import type { Explanation } from './explain/explanation.ts';
import type { MeshStatus } from './mesh/mesh-status.ts';
import { runtimeDirectory } from './runtime-directory.ts';
import type { TunnelStatus } from './status.ts';
import { openUnixSocket, type UnixSocket } from './unix-socket.ts';

export const SUFFIX = '.sock';
const MAX_CONNECTIONS = 16;
const MAX_REQUEST_LENGTH = 4_096;
/** Unanswered requests of one connection, which is dropped beyond. */
const MAX_PENDING = 16;

const REQUESTS = ['status', 'mesh', 'explain', 'capture', 'stop'] as const;
export type RequestName = (typeof REQUESTS)[number];

export type LocalResponse =
  | { readonly status: TunnelStatus }
  | { readonly mesh: MeshStatus }
  | { readonly explanation: Explanation }
  | { readonly stopping: true }
  | { readonly error: string; readonly code?: ErrorCode };

export interface LocalHandlers {
  status(): TunnelStatus;
  /** Undefined: this daemon is under no control plane. */
  mesh(): Promise<MeshStatus> | undefined;
  /** The same; rejects with a CausewayError for a question that makes no sense. */
  explain(question: unknown): Promise<Explanation> | undefined;
  /** Answers on the socket until the capture ends; rejects before it has begun. */
  capture(request: unknown, socket: Socket): Promise<void>;
  /**
   * Starts the daemon's end; connections are closed when it is done.
   *
   * @throws CausewayError when another kind of daemon is meant
   */
  stop(kind: unknown): void;
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
  let pending = 0;
  /** Answers go out in the order of their requests. */
  let answering: Promise<void> = Promise.resolve();
  const answer = async (line: string): Promise<void> => {
    if (socket.destroyed) return;
    const response = await respond(line, handlers, socket);
    if (response === undefined) return void socket.end();
    stopping ||= 'stopping' in response;
    if (socket.destroyed) return;
    // The next answer is not made before this one is read: a status may be long.
    if (!socket.write(`${JSON.stringify(response)}\n`)) await drained(socket);
    pending--;
  };
  socket.setEncoding('utf8');
  socket.on('data', (text: string) => {
    const lines = (partial + text).split('\n');
    partial = lines.pop()!;
    pending += lines.length;
    if (pending > MAX_PENDING) return void socket.destroy();
    for (const line of lines) {
      answering = answering.then(() => answer(line)).catch(() => void socket.destroy());
    }
    if (partial.length > MAX_REQUEST_LENGTH) {
      socket.end(`${JSON.stringify({ error: 'a request is too long' })}\n`);
      socket.destroySoon();
    }
  });
  // Who asked to stop waits, half-closed or not, for the end of the daemon.
  socket.on('end', () => {
    void answering.then(() => {
      if (!stopping) socket.end();
    });
  });
}

/** Resolves when all that was written is taken, or never will be. */
function drained(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    socket.once('drain', resolve);
    socket.once('close', () => resolve());
  });
}

/** The answer to one line; undefined if it was given on the socket, which is to end now. */
export async function respond(
  line: string,
  handlers: LocalHandlers,
  socket: Socket,
): Promise<LocalResponse | undefined> {
  if (line.length > MAX_REQUEST_LENGTH) return { error: 'a request is too long' };
  const request = parseRequest(line);
  if (request === undefined) {
    const known = REQUESTS.map((name) => `{"request":"${name}"}`).join(', ');
    return { error: `a request is one line, one of ${known}` };
  }
  const { name } = request;
  try {
    if (name === 'status') return { status: handlers.status() };
    if (name === 'mesh') {
      const mesh = await handlers.mesh();
      return mesh === undefined ? NO_MESH : { mesh };
    }
    if (name === 'capture') {
      await handlers.capture(request.arguments, socket);
      return undefined;
    }
    if (name === 'explain') {
      const explanation = await handlers.explain(request.arguments);
      return explanation === undefined ? NO_MESH : { explanation };
    }
    handlers.stop(request.arguments);
    return { stopping: true };
  } catch (error) {
    const { message } = error as Error;
    return error instanceof CausewayError
      ? { error: message, code: error.code }
      : { error: message };
  }
}

const NO_MESH = { error: 'this tunnel is in no mesh' };

interface Request {
  readonly name: RequestName;
  readonly arguments: unknown;
}

/** By hand: for a few words a library of schemas would cost the daemon a fifth of its memory. */
function parseRequest(line: string): Request | undefined {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value !== 'object' || value === null || !('request' in value)) return undefined;
    const name = REQUESTS.find((known) => known === value.request);
    const given = 'arguments' in value ? value.arguments : undefined;
    return name === undefined ? undefined : { name, arguments: given };
  } catch {
    return undefined;
  }
}
