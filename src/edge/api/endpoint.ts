/**
 * One endpoint of the API as a value: what it takes, who may use it, what it answers. The server
 * (api-server.ts) and the API's description (openapi.ts) are made from the same list of them.
 */
import type { FastifyReply } from 'fastify';
import type { z } from 'zod';
import type { Replica } from '../../control/model.ts';
import type { Actor } from '../audit-log.ts';

/**
 * Who may use it: `public` everybody, `replica` a replica with its credential, `read` operators of
 * any role, `admin` those that may change something.
 */
export type Access = 'public' | 'replica' | 'read' | 'admin';

export interface ApiRequest<Params, Query, Body> {
  readonly params: Params;
  readonly query: Query;
  readonly body: Body;
  readonly actor: Actor;
  /** Address of the peer, for limits on failures. */
  readonly source: string;
  /** Where the peer reached us; undefined on the unix socket. */
  readonly reached: { readonly destination: string; readonly port: number } | undefined;
  /** Who asks, where access is `replica`; otherwise undefined. */
  readonly replica: Replica | undefined;
  /** `Last-Event-ID`, of a stream that is resumed. */
  readonly lastEventId: string | undefined;
}

export interface Endpoint {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** With parameters as `:name`. */
  readonly path: string;
  readonly access: Access;
  readonly summary: string;
  readonly params?: z.ZodObject;
  readonly query?: z.ZodObject;
  readonly body?: z.ZodObject;
  /** Undefined: no content. */
  readonly response?: z.ZodType;
  /** 200 unless given; 204 without a response. */
  readonly status?: 201;
  /** `handle` returns the text itself, of this type. */
  readonly contentType?: string;
  /** Takes the connection over instead of returning. */
  readonly stream?: true;
  handle(request: ApiRequest<unknown, unknown, unknown>, reply: FastifyReply): unknown;
}

type Parsed<S> = S extends z.ZodType ? z.output<S> : undefined;

/** Gives `handle` the types of the schemas beside it. */
export function endpoint<
  const P extends z.ZodObject | undefined = undefined,
  const Q extends z.ZodObject | undefined = undefined,
  const B extends z.ZodObject | undefined = undefined,
  const R extends z.ZodType | undefined = undefined,
>(
  definition: Omit<Endpoint, 'params' | 'query' | 'body' | 'response' | 'handle'> & {
    readonly params?: P;
    readonly query?: Q;
    readonly body?: B;
    readonly response?: R;
    readonly handle: (
      request: ApiRequest<Parsed<P>, Parsed<Q>, Parsed<B>>,
      reply: FastifyReply,
    ) => R extends z.ZodType ? z.input<R> | Promise<z.input<R>> : void | Promise<void>;
  },
): Endpoint {
  return definition as unknown as Endpoint;
}
