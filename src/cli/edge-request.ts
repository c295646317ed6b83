/**
 * A request of a command to an edge's API, over TLS or over the edge's socket on this host. The answer
 * is validated; an error is the edge's own, with its code.
 */
import { type IncomingMessage, request } from 'node:http';
import { connect, type Socket } from 'node:net';
import type { z } from 'zod';
import { problemSchema } from '../control/api.ts';
import { sayProblem } from '../control/problem-text.ts';
import { CausewayError, ERROR_CODES } from '../errors.ts';
import { connectToEdge } from '../gateway/mesh/edge-connection.ts';
import { type EdgeAddress, type EdgeOptions, edgeAddress } from './where.ts';

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

const TIMEOUT_MS = 30_000;
const MAX_ANSWER_LENGTH = 256 << 20;

export class EdgeApi {
  readonly #address: EdgeAddress;

  constructor(address: EdgeAddress) {
    this.#address = address;
  }

  /**
   * @param query undefined values are left out
   * @throws CausewayError EDGE_UNREACHABLE, EDGE_UNTRUSTED, EDGE_REFUSED, PERMISSION or the edge's own
   */
  get<S extends z.ZodType>(
    path: string,
    schema: S,
    query: Readonly<Record<string, string | undefined>> = {},
  ): Promise<z.output<S>> {
    const given = Object.entries(query).filter(
      (entry): entry is [string, string] => entry[1] !== undefined,
    );
    const text = new URLSearchParams(given).toString();
    return this.call('GET', text === '' ? path : `${path}?${text}`, schema);
  }

  /** As `get`, with a body. */
  async call<S extends z.ZodType>(
    method: Method,
    path: string,
    schema: S,
    body?: unknown,
  ): Promise<z.output<S>> {
    const parsed = schema.safeParse(parseJson(await this.send(method, path, body)));
    if (parsed.success) return parsed.data;
    throw new CausewayError(
      'EDGE_REFUSED',
      `What ${formatAddress(this.#address)} answers is not what this version understands: one of the two is out of date.`,
      { cause: parsed.error },
    );
  }

  /** Sends a request and returns the text of its answer. */
  async send(method: Method, path: string, body?: unknown): Promise<string> {
    const address = this.#address;
    const socket = await open(address);
    const json = body === undefined ? undefined : JSON.stringify(body);
    const sent = request({
      createConnection: () => socket,
      method,
      path,
      headers: {
        host: 'url' in address ? new URL(address.url).host : 'localhost',
        accept: 'application/json',
        connection: 'close',
        ...('url' in address && address.token && { authorization: `Bearer ${address.token}` }),
        ...(json !== undefined && {
          'content-type': 'application/json',
          'content-length': Buffer.byteLength(json),
        }),
      },
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    sent.on('response', resolve);
    sent.on('error', reject);
    sent.end(json);
    try {
      const answer = await promise;
      const text = await readText(answer);
      const status = answer.statusCode ?? 0;
      if (status >= 200 && status < 300) return text;
      throw refusal(address, status, text, body);
    } catch (error) {
      if (error instanceof CausewayError) throw error;
      throw unreachable(address, error as NodeJS.ErrnoException);
    } finally {
      socket.destroy();
    }
  }
}

/** @throws CausewayError USAGE */
export function openEdge(options: EdgeOptions): EdgeApi {
  return new EdgeApi(edgeAddress(options));
}

function formatAddress(address: EdgeAddress): string {
  return 'url' in address ? address.url : address.socketPath;
}

function open(address: EdgeAddress): Promise<Socket> {
  if ('url' in address) {
    const { url, tlsPin } = address;
    return connectToEdge(url, [tlsPin]).catch((error: unknown) => {
      throw explainUntrusted(error);
    });
  }
  const { promise, resolve, reject } = Promise.withResolvers<Socket>();
  const socket = connect(address.socketPath);
  socket.once('connect', () => resolve(socket));
  socket.once('error', (error) => reject(unreachable(address, error)));
  return promise;
}

/** A person says by CAUSEWAY_PIN what the edge is known by. */
function explainUntrusted(error: unknown): unknown {
  if (!(error instanceof CausewayError) || error.code !== 'EDGE_UNTRUSTED') return error;
  const remedy =
    "Where no authority vouches for an edge, CAUSEWAY_PIN is to be its TLS pin: `connector edge status` on the edge's host shows it.";
  return new CausewayError('EDGE_UNTRUSTED', `${error.message} ${remedy}`, { cause: error });
}

async function readText(answer: IncomingMessage): Promise<string> {
  let text = '';
  answer.setEncoding('utf8');
  for await (const part of answer) {
    text += part;
    if (text.length > MAX_ANSWER_LENGTH) throw new Error('its answer is too long');
  }
  return text;
}

function refusal(address: EdgeAddress, status: number, text: string, body: unknown): CausewayError {
  const problem = problemSchema.safeParse(parseJson(text));
  if (!problem.success) {
    const message = `${formatAddress(address)} is no Causeway edge: it answers with status ${status}.`;
    return new CausewayError('EDGE_REFUSED', message);
  }
  const { code } = problem.data;
  const detail = sayProblem(problem.data, body);
  const known = ERROR_CODES.find((one) => one === code);
  if (known === 'UNAUTHORIZED' && 'url' in address && address.token === undefined) {
    return new CausewayError(known, 'The edge needs a token: put one into CAUSEWAY_TOKEN.');
  }
  return new CausewayError(known ?? 'EDGE_REFUSED', known ? detail : `${detail} (${code})`);
}

function unreachable(address: EdgeAddress, error: NodeJS.ErrnoException): CausewayError {
  const where = formatAddress(address);
  if (error.code === 'EACCES' || error.code === 'EPERM') {
    const text = `No permission to open ${where}: run as root, or as the user of the edge.`;
    return new CausewayError('PERMISSION', text, { cause: error });
  }
  const text =
    'url' in address
      ? `The edge at ${where} did not answer (${error.message}).`
      : `No edge runs on this host (${where}): start it with \`connector edge run\`, or give --edge https://HOST:PORT.`;
  return new CausewayError('EDGE_UNREACHABLE', text, { cause: error });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
