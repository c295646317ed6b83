/**
 * The HTTP behind the diagnosis, loaded when somebody asks: what is asked is bounded in size and number. It
 * listens nowhere; connections, of askers that are known, are given to it. It knows no flows; `answer` does.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { AskLimits } from './ask-limits.ts';
import {
  FACTS_PATH,
  type FlowAnswer,
  type FlowRequest,
  flowRequestSchema,
  MAX_REQUEST,
} from './protocol.ts';

/** Bytes of the head of a request. */
const MAX_HEAD = 4_096;

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

/** For `emit('connection', socket)`. `counts` is written to. */
export function createDiagnosisServer(answers: DiagnosisAnswers, counts: DiagnosisCounts): Server {
  const limits = new AskLimits();
  const server = createServer(
    { maxHeaderSize: MAX_HEAD, keepAlive: false },
    (request, response) => {
      void serve(request, response, answers, limits, counts).catch(() => request.socket.destroy());
    },
  );
  server.maxRequestsPerSocket = 1;
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
  try {
    if (request.url !== FACTS_PATH || request.method !== 'POST') {
      end(404, { error: 'there is nothing here' }, 'wrong');
      return;
    }
    const body = await readBody(request);
    const flow = flowRequestSchema.safeParse(body === undefined ? undefined : parseJson(body));
    const answer = flow.success ? await answers.answer(asker, flow.data) : undefined;
    if (answer === undefined) end(400, { error: 'this is no question about a flow' }, 'wrong');
    else end(200, answer, 'answered');
  } finally {
    // Not when the asker hangs up: what is done for it goes on, and counts until then.
    done();
  }
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
