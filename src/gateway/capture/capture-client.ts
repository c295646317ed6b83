/** The other side of a capture on the local socket: what `connector capture` reads. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { CausewayError, ERROR_CODES, type ErrorCode } from '../../errors.ts';
import { socketPaths } from '../local-client.ts';
import type { CaptureRequest } from './capture-session.ts';
import { type CaptureNews, FRAME_JSON, FRAME_RECORDS, FrameReader } from './capture-stream.ts';
import { type CapturedPacket, packetsIn } from './captured-packet.ts';

/** A first line is short. */
const MAX_LINE = 65_536;

export interface NamedPacket extends CapturedPacket {
  /** Name of the peer; undefined = it has none. */
  readonly peerName: string | undefined;
}

export class CaptureClient {
  readonly interfaceName: string;
  /** Totals that the daemon said at the end; undefined = it went away before. */
  totals: { readonly captured: number; readonly lost: number } | undefined;
  readonly #socket: Socket;
  readonly #names = new Map<number, string>();
  readonly #frames = new FrameReader();

  private constructor(interfaceName: string, socket: Socket, rest: Buffer) {
    this.interfaceName = interfaceName;
    this.#socket = socket;
    this.#frames.push(rest);
  }

  /**
   * Begins a capture. Without a name it is that of the one tunnel that is up.
   *
   * @throws CausewayError INTERFACE_MISSING, USAGE, PERMISSION, and what the daemon says
   */
  static async open(
    interfaceName: string | undefined,
    request: CaptureRequest,
  ): Promise<CaptureClient> {
    const { name, socket } = await findDaemon(interfaceName);
    socket.write(`${JSON.stringify({ request: 'capture', arguments: request })}\n`);
    const { line, rest } = await firstLine(socket);
    const answer = parse(line);
    if ('capturing' in answer) return new CaptureClient(name, socket, rest);
    socket.destroy();
    const code = ERROR_CODES.find((known) => known === answer.code);
    if (code !== undefined && typeof answer.error === 'string') {
      throw new CausewayError(code, answer.error);
    }
    const message = `The daemon of ${name} captures nothing: it may be of another version, restart it.`;
    throw new CausewayError('START_FAILED', message);
  }

  /** Asks the daemon to end it; what was captured still comes. */
  stop(): void {
    this.#socket.end();
  }

  /** Goes away at once. */
  destroy(): void {
    this.#socket.destroy();
  }

  /**
   * Packets as they come, some at a time, until the capture has ended. What is not read waits in the data
   * plane, as far as there is room.
   */
  async *packets(): AsyncGenerator<readonly NamedPacket[]> {
    yield* this.#read();
    try {
      for await (const bytes of this.#socket) {
        this.#frames.push(bytes as Buffer);
        yield* this.#read();
      }
    } catch (error) {
      // The daemon has ended.
      if (!['ECONNRESET', 'EPIPE'].includes((error as NodeJS.ErrnoException).code ?? ''))
        throw error;
    }
  }

  *#read(): Generator<readonly NamedPacket[]> {
    for (let frame = this.#frames.next(); frame !== undefined; frame = this.#frames.next()) {
      if (frame.kind === FRAME_JSON) {
        const news = JSON.parse(frame.payload.toString()) as CaptureNews;
        if ('peer' in news) this.#names.set(news.peer, news.name);
        else this.totals = news;
      } else if (frame.kind === FRAME_RECORDS) {
        yield Array.from(packetsIn(frame.payload), (packet) => {
          return { ...packet, peerName: this.#names.get(packet.peer) };
        });
      }
    }
  }
}

async function findDaemon(
  interfaceName: string | undefined,
): Promise<{ readonly name: string; readonly socket: Socket }> {
  const found: { readonly name: string; readonly socket: Socket }[] = [];
  for (const { name, path } of socketPaths(interfaceName)) {
    const socket = await connectTo(path, name);
    if (socket !== undefined) found.push({ name, socket });
  }
  const [first, ...others] = found;
  // Of a name that is looked for there may be one in each network namespace: our own is the first.
  for (const { socket } of interfaceName === undefined && others.length > 0 ? found : others) {
    socket.destroy();
  }
  if (first === undefined) {
    const where = interfaceName === undefined ? 'on this host' : `on ${interfaceName}`;
    const message = `No gateway runs ${where}: start it with \`connector up\`.`;
    throw new CausewayError('INTERFACE_MISSING', message);
  }
  if (interfaceName === undefined && others.length > 0) {
    const names = found.map(({ name }) => name).join(', ');
    throw new CausewayError('USAGE', `Several are up (${names}): say which with --interface.`);
  }
  return first;
}

async function connectTo(path: string, name: string): Promise<Socket | undefined> {
  const socket = connect({ path, allowHalfOpen: true });
  try {
    await once(socket, 'connect');
    return socket;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EACCES' || code === 'EPERM') {
      const message = `No permission to talk to the daemon of ${name}: run as root.`;
      throw new CausewayError('PERMISSION', message, { cause: error });
    }
    return undefined;
  }
}

async function firstLine(
  socket: Socket,
): Promise<{ readonly line: string; readonly rest: Buffer }> {
  let bytes: Buffer = Buffer.alloc(0);
  for (;;) {
    const end = bytes.indexOf(10);
    if (end >= 0) return { line: bytes.subarray(0, end).toString(), rest: bytes.subarray(end + 1) };
    if (bytes.length > MAX_LINE || socket.destroyed || socket.readableEnded) {
      return { line: '', rest: bytes };
    }
    const part = socket.read() as Buffer | null;
    if (part !== null) bytes = Buffer.concat([bytes, part]);
    else await Promise.race([once(socket, 'readable'), once(socket, 'close'), once(socket, 'end')]);
  }
}

function parse(line: string): { readonly error?: unknown; readonly code?: ErrorCode } {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? value : {};
  } catch {
    return {};
  }
}
