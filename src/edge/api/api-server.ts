/**
 * The API's server: fastify over the list of endpoints, on TLS for everybody and on a unix socket for
 * whoever may open it. Authentication comes before a body is read; bodies, headers, times and the
 * number of connections are bounded.
 */
import { randomUUID } from 'node:crypto';
import type { RequestListener } from 'node:http';
import type { Socket } from 'node:net';
import fastify, { type FastifyError, type FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import type { z } from 'zod';
import { PROBLEM_TYPE } from '../../control/api.ts';
import { CausewayError } from '../../errors.ts';
import { isAnswerable, problemOf, RequestError, TooManyRequests } from '../problem.ts';
import { type Authentication, type Identity, LOCAL_ACTOR } from './authentication.ts';
import type { Endpoint } from './endpoint.ts';

export const BODY_LIMIT = 256 * 1_024;
/** Of an id or a name in a path. */
const MAX_PARAM_LENGTH = 128;

export interface ApiServer {
  readonly handle: RequestListener;
  /** For requests over the unix socket: whoever may open it is an admin. */
  readonly handleLocal: RequestListener;
  close(): Promise<void>;
}

export interface ApiServerOptions {
  readonly endpoints: readonly Endpoint[];
  readonly authentication: Authentication;
  readonly log: Logger;
  /** Told of every answered request, for the metrics. */
  readonly onAnswered?: (path: string, method: string, status: number, seconds: number) => void;
}

export async function createApiServer(options: ApiServerOptions): Promise<ApiServer> {
  const { endpoints, authentication, log } = options;
  const localSockets = new WeakSet<Socket>();
  const identities = new WeakMap<FastifyRequest, Identity>();
  const app = fastify({
    bodyLimit: BODY_LIMIT,
    routerOptions: { maxParamLength: MAX_PARAM_LENGTH },
    genReqId: () => randomUUID(),
    // What a request carries is bounded by its endpoint; unknown paths are not logged either.
    logger: false,
    exposeHeadRoutes: false,
  });
  app.removeContentTypeParser('text/plain');
  app.setErrorHandler<FastifyError>((error, request, reply) => {
    const known = ofFastify(error);
    const what = { err: error, request: request.id, method: request.method };
    // Nobody hears the answer, and the fault was not ours.
    if (request.raw.readableAborted) log.debug(what, 'a client left in the middle of its request');
    else if (!isAnswerable(known)) log.error(what, 'a request failed');
    const problem = problemOf(known, request.id);
    if (known instanceof TooManyRequests) void reply.header('retry-after', known.retryAfter);
    if (problem.status === 401) void reply.header('www-authenticate', 'Bearer');
    // The rest of a refused body is not waited for.
    if (problem.status === 413) void reply.header('connection', 'close');
    return reply.code(problem.status).type(PROBLEM_TYPE).send(JSON.stringify(problem));
  });
  app.setNotFoundHandler((request) => {
    const path = request.url.split('?', 1)[0]!.slice(0, 200);
    throw new CausewayError('NOT_FOUND', `There is no ${request.method} ${path} in this API.`);
  });
  app.addHook('onSend', async (_request, reply) => {
    void reply.header('cache-control', 'no-store').header('x-content-type-options', 'nosniff');
  });
  app.addHook('onResponse', async (request, reply) => {
    const path = request.routeOptions.url ?? 'unknown';
    options.onAnswered?.(path, request.method, reply.statusCode, reply.elapsedTime / 1_000);
  });
  for (const endpoint of endpoints) {
    app.route({
      method: endpoint.method,
      url: endpoint.path,
      onRequest: async (request) => {
        const { socket } = request.raw;
        if (localSockets.has(socket)) {
          const identity = { actor: LOCAL_ACTOR, replica: undefined };
          authentication.authorize(endpoint.access, identity);
          identities.set(request, identity);
          return;
        }
        const { authorization } = request.headers;
        // An IPv4 address as such, also on a socket of both families.
        const source = unmapped(socket.remoteAddress ?? '');
        const { replica } = request.query as { readonly replica?: unknown };
        const claimed = typeof replica === 'string' ? replica : undefined;
        identities.set(
          request,
          authentication.authenticate(endpoint.access, authorization, source, claimed),
        );
      },
      handler: async (request, reply) => {
        const { actor, replica } = identities.get(request)!;
        const lastEventId = request.headers['last-event-id'];
        const answer = await endpoint.handle(
          {
            params: parsePart('path', endpoint.params, request.params),
            query: parsePart('query', endpoint.query, request.query),
            body: parsePart('body', endpoint.body, request.body),
            actor,
            replica,
            source: actor.source,
            reached: reachedAt(request.raw.socket),
            lastEventId: typeof lastEventId === 'string' ? lastEventId : undefined,
          },
          reply,
        );
        if (endpoint.stream) return reply;
        if (endpoint.response === undefined) return reply.code(204).send();
        const { contentType, status = 200 } = endpoint;
        const text = contentType === undefined ? JSON.stringify(answer) : answer;
        return reply
          .code(status)
          .type(contentType ?? 'application/json')
          .send(text);
      },
    });
  }
  await app.ready();
  return {
    handle: app.routing,
    handleLocal: (request, response) => {
      localSockets.add(request.socket);
      app.routing(request, response);
    },
    close: async () => {
      await app.close();
    },
  };
}

/** An IPv4 address as such. */
function unmapped(address: string): string {
  return address.replace(/^::ffff:(?=[0-9.]+$)/, '');
}

function reachedAt({ localAddress, localPort }: Socket) {
  if (localAddress === undefined || localPort === undefined) return undefined;
  return { destination: unmapped(localAddress), port: localPort };
}

/** @throws RequestError */
function parsePart(where: string, schema: z.ZodType | undefined, value: unknown): unknown {
  if (schema === undefined) return undefined;
  const parsed = schema.safeParse(value ?? {});
  if (parsed.success) return parsed.data;
  const faults = parsed.error.issues.slice(0, 20).map((issue) => ({
    path: [where, ...issue.path].join('.'),
    message: issue.message,
  }));
  const { path, message } = faults[0]!;
  throw new RequestError(`The request is not valid: ${path}: ${message}.`, faults);
}

/** fastify's own errors under our codes. */
function ofFastify(error: FastifyError): Error {
  if (error instanceof CausewayError) return error;
  const { statusCode = 500, code } = error;
  if (statusCode === 413) {
    const text = `The body is larger than ${BODY_LIMIT / 1_024} KiB: send less.`;
    return new CausewayError('REQUEST_TOO_LARGE', text);
  }
  if (statusCode >= 400 && statusCode < 500 && code?.startsWith('FST_ERR_')) {
    return new RequestError(`The request is not valid: ${error.message.replace(/\.$/, '')}.`);
  }
  if (error instanceof SyntaxError && statusCode === 400) {
    return new RequestError('The body is no JSON.');
  }
  return error;
}
