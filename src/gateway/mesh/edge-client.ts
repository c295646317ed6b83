/**
 * What a replica asks of its edge, over HTTPS (control/api.ts): to be enrolled, to have prefixes
 * advertised, and for its stream of netmaps. Of several URLs the one that answered last is asked
 * first. Every answer is bounded and validated.
 */
import type { ClientRequest, IncomingMessage } from 'node:http';
import {
  ADVERTISE_PATH,
  type AdvertiseRequest,
  type AdvertiseResponse,
  advertiseResponseSchema,
  ENROL_PATH,
  type EnrolRequest,
  type EnrolResponse,
  FAULTS_PATH,
  NETMAP_PATH,
  type Problem,
  problemSchema,
  receivedEnrolSchema,
  type TrafficFault,
} from '../../control/api.ts';
import { sayProblem } from '../../control/problem-text.ts';
import { CausewayError, ERROR_CODES } from '../../errors.ts';
import { connectToEdge, type TlsPin } from './edge-connection.ts';
import type { Identity } from './identity.ts';

/**
 * Not imported: an import looks at all exports of the module, and its getter for WebSocket loads a
 * whole client of its own, which takes a quarter of a gateway's start.
 */
const { request } = process.getBuiltinModule('node:http');

/** How an edge's API is found and known. */
export interface EdgeAddress {
  /** `https://HOST[:PORT]`. */
  readonly urls: readonly string[];
  /** What it is known by: any of them will do. */
  readonly tlsPins: readonly TlsPin[];
}

/** A response with a netmap of the largest size is some tens of megabytes. */
const MAX_RESPONSE_LENGTH = 64 << 20;
const RESPONSE_TIMEOUT_MS = 20_000;
/** No edge makes us wait for longer, whatever it says. */
const MOST_RETRY_AFTER_MS = 3_600_000;

/** What the edge answered when it refused. */
export class EdgeRefusal extends CausewayError {
  readonly status: number;
  /** Ms in which the edge does not want to be asked again; undefined = it did not say. */
  readonly retryAfter: number | undefined;

  constructor(status: number, problem: Problem | undefined, retryAfter?: number) {
    const code = ERROR_CODES.find((known) => known === problem?.code) ?? 'EDGE_REFUSED';
    super(code, problem === undefined ? `The edge refused (HTTP ${status}).` : sayProblem(problem));
    this.status = status;
    this.retryAfter = retryAfter;
  }

  /** The same request may be granted later. */
  get mayPass(): boolean {
    return this.status === 429 || this.status >= 500;
  }

  /** The edge says of this replica that it was deleted: asking again is no use. */
  get isGone(): boolean {
    return this.status === 410 && this.code === 'CONNECTOR_GONE';
  }

  /** It is what was asked that the edge refuses, not who asked or when. */
  get isOfRequest(): boolean {
    return !this.mayPass && this.status !== 401 && this.status !== 410;
  }
}

interface Target {
  readonly url: string;
  readonly pins: readonly TlsPin[];
}

function targetsOf(edges: readonly EdgeAddress[]): Target[] {
  const targets = edges.flatMap(({ urls, tlsPins: pins }) => urls.map((url) => ({ url, pins })));
  return targets.filter(({ url }, i) => targets.findIndex((other) => other.url === url) === i);
}

interface Call {
  readonly method: 'GET' | 'POST' | 'PUT';
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: unknown;
  readonly signal?: AbortSignal | undefined;
}

export class EdgeClient {
  #targets: readonly Target[];
  /** The edge's clock less ours in ms, to a second; undefined = never heard. */
  clockOffset: number | undefined;
  /** The URL that answered last. */
  url: string | undefined;

  constructor(edges: readonly EdgeAddress[]) {
    this.#targets = targetsOf(edges);
  }

  /** From now on these, in order of preference; but first the one that answered last. */
  useEdges(edges: readonly EdgeAddress[]): void {
    this.#targets = targetsOf(edges);
  }

  /** @throws CausewayError EDGE_UNREACHABLE, EDGE_UNTRUSTED, EDGE_REFUSED or the edge's own */
  async enrol(body: EnrolRequest, signal?: AbortSignal): Promise<EnrolResponse> {
    const call: Call = { method: 'POST', path: ENROL_PATH, headers: {}, body, signal };
    return parse(receivedEnrolSchema, await readAll(await this.#call(call)));
  }

  /** @throws CausewayError as `enrol` */
  async advertise(
    credential: string,
    body: AdvertiseRequest,
    signal?: AbortSignal,
  ): Promise<AdvertiseResponse> {
    const headers = bearer(credential);
    const call: Call = { method: 'PUT', path: ADVERTISE_PATH, headers, body, signal };
    return parse(advertiseResponseSchema, await readAll(await this.#call(call)));
  }

  /** @throws CausewayError as `enrol` */
  async tellFaults(
    credential: string,
    faults: readonly TrafficFault[],
    signal?: AbortSignal,
  ): Promise<void> {
    const headers = bearer(credential);
    const body = { faults };
    await readAll(await this.#call({ method: 'PUT', path: FAULTS_PATH, headers, body, signal }));
  }

  /**
   * Opens the stream of netmaps; its body is server-sent events.
   *
   * @param lastEventId id of the netmap that is known already; undefined = a whole netmap is wanted
   * @throws CausewayError as `enrol`
   */
  async openStream(
    {
      replica,
      credential,
      instance,
    }: Pick<Identity, 'replica' | 'credential'> & { readonly instance: string },
    lastEventId: string | undefined,
    signal: AbortSignal,
  ): Promise<IncomingMessage> {
    const headers = {
      ...bearer(credential),
      accept: 'text/event-stream',
      ...(lastEventId !== undefined && { 'last-event-id': lastEventId }),
    };
    const path = `${NETMAP_PATH}?${new URLSearchParams({ replica, instance })}`;
    return this.#call({ method: 'GET', path, headers, signal });
  }

  /** Asks one URL after the other until one can be reached; what that one says holds. */
  async #call(call: Call): Promise<IncomingMessage> {
    const known = this.#targets.filter(({ url }) => url === this.url);
    const others = this.#targets.filter(({ url }) => url !== this.url);
    let failure: unknown = new CausewayError('EDGE_UNREACHABLE', 'The edge has no URL.');
    for (const { url, pins } of [...known, ...others]) {
      try {
        const response = await exchange(url, pins, call);
        this.url = url;
        this.#readClock(response);
        return response;
      } catch (error) {
        if (error instanceof EdgeRefusal || call.signal?.aborted) throw error;
        failure = error;
      }
    }
    throw failure;
  }

  #readClock({ headers }: IncomingMessage): void {
    const time = Date.parse(headers.date ?? '');
    if (!Number.isNaN(time)) this.clockOffset = Math.round((time - Date.now()) / 1_000) * 1_000;
  }
}

function bearer(credential: string): Record<string, string> {
  return { authorization: `Bearer ${credential}` };
}

/** One request on a connection of its own; the response has a status of 200 to 299. */
async function exchange(
  url: string,
  pins: readonly TlsPin[],
  call: Call,
): Promise<IncomingMessage> {
  const socket = await connectToEdge(url, pins, call.signal);
  const body = call.body === undefined ? undefined : JSON.stringify(call.body);
  const sent = request({
    createConnection: () => socket,
    method: call.method,
    path: call.path,
    headers: {
      host: new URL(url).host,
      accept: 'application/json',
      ...(body !== undefined && {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(body),
      }),
      ...call.headers,
    },
    ...(call.signal && { signal: call.signal }),
  });
  sent.end(body);
  const response = await answerOf(sent, url).catch((error: unknown) => {
    socket.destroy();
    throw error;
  });
  const status = response.statusCode ?? 0;
  if (status >= 200 && status < 300) return response;
  const problem = problemSchema.safeParse(parseJson(await readAll(response).catch(() => '')));
  const document = problem.success ? problem.data : undefined;
  throw new EdgeRefusal(status, document, retryAfterOf(response));
}

/** `Retry-After` (RFC 9110 § 10.2.3) in ms, as seconds only: the edge gives no dates. */
function retryAfterOf({ headers }: IncomingMessage): number | undefined {
  const text = headers['retry-after'];
  if (text === undefined || !/^[0-9]{1,9}$/.test(text)) return undefined;
  return Math.min(Number(text) * 1_000, MOST_RETRY_AFTER_MS);
}

function answerOf(sent: ClientRequest, url: string): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const fail = (reason: string, cause?: unknown): void => {
    const text = `The edge at ${url} did not answer (${reason}).`;
    reject(new CausewayError('EDGE_UNREACHABLE', text, { cause }));
  };
  const timer = setTimeout(() => {
    fail(`waited ${RESPONSE_TIMEOUT_MS / 1_000} s`);
    sent.destroy();
  }, RESPONSE_TIMEOUT_MS);
  sent.on('response', resolve);
  sent.on('error', (error) => fail(error.message, error));
  return promise.finally(() => clearTimeout(timer));
}

async function readAll(response: IncomingMessage): Promise<string> {
  const timer = setTimeout(() => response.destroy(new Error('too slow')), RESPONSE_TIMEOUT_MS);
  const parts: Buffer[] = [];
  let length = 0;
  try {
    for await (const part of response as AsyncIterable<Buffer>) {
      length += part.length;
      if (length > MAX_RESPONSE_LENGTH) throw new Error('its answer is too long');
      parts.push(part);
    }
  } catch (error) {
    const text = `The edge's answer broke off (${(error as Error).message}).`;
    throw new CausewayError('EDGE_UNREACHABLE', text, { cause: error });
  } finally {
    clearTimeout(timer);
  }
  return Buffer.concat(parts).toString('utf8');
}

interface Schema<T> {
  safeParse(value: unknown): { success: true; data: T } | { success: false; error: Error };
}

function parse<T>(schema: Schema<T>, text: string): T {
  const parsed = schema.safeParse(parseJson(text));
  if (parsed.success) return parsed.data;
  throw new CausewayError(
    'EDGE_REFUSED',
    'The edge answered something that this version does not understand: one of the two is out of date.',
    { cause: parsed.error },
  );
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
