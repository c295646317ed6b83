/**
 * The HTTP server behind the diagnosis: who asks is looked up by the address it comes from before a byte is
 * read, and what is asked is bounded in size, time and number. It knows no flows; `answer` does.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { AskLimits } from './ask-limits.ts';
import {
  ANSWER_WITHIN,
  FACTS_PATH,
  type FlowAnswer,
  type FlowRequest,
  flowRequestSchema,
  MAX_REQUEST,
} from './protocol.ts';

const MAX_CONNECTIONS = 16;
/** Bytes of the head of a request. */
const MAX_HEAD = 4_096;

/** ms that an asker has for the head of its request, and the whole of it for request and answer. */
export interface Patience {
  readonly head: number;
  readonly all: number;
}
const PATIENCE: Patience = { head: 3_000, all: ANSWER_WITHIN };

export interface Asker {
  /** Id of its connector. */
  readonly id: string;
}

export interface DiagnosisAnswers {
  /** Undefined = nobody whom we answer. */
  askerAt(address: string): Asker | undefined;
  /** Undefined = the question makes no sense. */
  answer(asker: Asker, flow: FlowRequest): Promise<FlowAnswer | undefined>;
}

export const REFUSALS = ['stranger', 'wrong', 'limited'] as const;
/** Questions since the start: answered, of strangers, that made no sense, that were too many. */
export type DiagnosisCounts = Record<'answered' | (typeof REFUSALS)[number], number>;

/** Not listening yet. `counts` is written to. */
export function createDiagnosisServer(
  answers: DiagnosisAnswers,
  counts: DiagnosisCounts,
  patience = PATIENCE,
): Server {
  const limits = new AskLimits();
  const server = createServer(
    {
      maxHeaderSize: MAX_HEAD,
      headersTimeout: patience.head,
      requestTimeout: patience.all,
      connectionsCheckingInterval: patience.head / 3,
      keepAlive: false,
    },
    (request, response) => {
      void serve(request, response, answers, limits, counts).catch(() => request.socket.destroy());
    },
  );
  server.maxConnections = MAX_CONNECTIONS;
  server.maxRequestsPerSocket = 1;
  server.setTimeout(patience.all, (socket) => socket.destroy());
  server.on('connection', (socket) => {
    socket.on('error', () => socket.destroy());
    if (answers.askerAt(socket.remoteAddress ?? '') !== undefined) return;
    counts.stranger++;
    socket.destroy();
  });
  server.on('clientError', (_error, socket) => {
    counts.wrong++;
    socket.destroy();
  });
  return server;
}

async function serve(
  request: IncomingMessage,
  response: ServerResponse,
  answers: DiagnosisAnswers,
  limits: AskLimits,
  counts: DiagnosisCounts,
): Promise<void> {
  const end = (status: number, body: unknown, count?: keyof DiagnosisCounts): void => {
    if (count !== undefined) counts[count]++;
    response.writeHead(status, { 'content-type': 'application/json', connection: 'close' });
    response.end(JSON.stringify(body));
  };
  const asker = answers.askerAt(request.socket.remoteAddress ?? '');
  if (asker === undefined) {
    counts.stranger++;
    request.socket.destroy();
    return;
  }
  const done = limits.begin(asker.id, performance.now());
  if (done === undefined) {
    end(429, { error: 'asked too often' }, 'limited');
    return;
  }
  response.once('close', done);
  if (request.url !== FACTS_PATH || request.method !== 'POST') {
    end(404, { error: 'there is nothing here' }, 'wrong');
    return;
  }
  const body = await readBody(request);
  const flow = flowRequestSchema.safeParse(body === undefined ? undefined : parseJson(body));
  const answer = flow.success ? await answers.answer(asker, flow.data) : undefined;
  if (answer === undefined) end(400, { error: 'this is no question about a flow' }, 'wrong');
  else end(200, answer, 'answered');
}

/** Undefined: it is too long. Rejects when it is cut off. */
async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    length += part.length;
    if (length > MAX_REQUEST) return undefined;
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
