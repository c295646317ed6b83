/** The API's description (OpenAPI 3.1), from the schemas that validate it; checked in as docs/openapi.json. */
import { z } from 'zod';
import * as replicaApi from '../../control/api.ts';
import { PROBLEM_TYPE, problemSchema, STREAM_EVENTS } from '../../control/api.ts';
import * as operatorApi from '../../control/operator-api.ts';
import type { Access, Endpoint } from './endpoint.ts';

/** Of the API, not of the program: the path's `v1` is its first number. */
const API_VERSION = '1.0.0';

const WHO: Readonly<Record<Access, string>> = {
  public: 'For everybody.',
  replica: 'For replicas, with their credential.',
  read: 'For operators of every role.',
  admin: 'For operators of role admin.',
};

/** As plain JSON. */
export function describeApi(endpoints: readonly Endpoint[]): Record<string, unknown> {
  const schemas = new Components();
  const paths: Record<string, Record<string, unknown>> = {};
  const problem = { content: { [PROBLEM_TYPE]: { schema: schemas.of(problemSchema, 'output') } } };
  for (const endpoint of endpoints) {
    const path = endpoint.path.replace(/:([a-z]+)/g, '{$1}');
    const operation = {
      summary: endpoint.summary,
      description: WHO[endpoint.access],
      operationId: operationId(endpoint),
      ...(endpoint.access === 'public' ? {} : { security: [{ bearer: [] }] }),
      ...parametersOf(endpoint, schemas),
      ...(endpoint.body && {
        requestBody: {
          required: true,
          content: { 'application/json': { schema: schemas.of(endpoint.body, 'input') } },
        },
      }),
      responses: {
        ...responseOf(endpoint, schemas),
        default: { description: 'Error', ...problem },
      },
    };
    paths[path] = { ...paths[path], [endpoint.method.toLowerCase()]: operation };
  }
  for (const schema of Object.values(STREAM_EVENTS)) schemas.of(schema, 'output');
  return {
    openapi: '3.1.0',
    info: {
      title: 'Causeway edge',
      version: API_VERSION,
      description:
        'Registry, enrolment and netmaps of a Causeway mesh. Every error is a problem document (RFC 9457) with a code of docs/errors.md.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    paths,
    components: {
      securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } },
      schemas: schemas.all(),
    },
  };
}

function operationId({ method, path }: Endpoint): string {
  const words = path.split(/[^A-Za-z0-9]+/).filter((word) => word !== '' && word !== 'v1');
  return [method.toLowerCase(), ...words].join('-');
}

function parametersOf({ params, query }: Endpoint, schemas: Components): object {
  const of = (schema: z.ZodObject | undefined, where: 'path' | 'query'): object[] =>
    Object.entries(schema?.shape ?? {}).map(([name, part]) => ({
      name,
      in: where,
      required: where === 'path' || !(part as z.ZodType).safeParse(undefined).success,
      schema: schemas.of(part as z.ZodType, 'input'),
    }));
  const parameters = [...of(params, 'path'), ...of(query, 'query')];
  return parameters.length === 0 ? {} : { parameters };
}

function responseOf(endpoint: Endpoint, schemas: Components): object {
  const { response, contentType = 'application/json', status = 200, stream } = endpoint;
  if (stream) {
    const names = Object.keys(STREAM_EVENTS).join(', ');
    const description = `Events ${names}, each with JSON of the schema of its name as data, and the revision as id`;
    return { 200: { description, content: { [contentType]: { schema: { type: 'string' } } } } };
  }
  if (response === undefined) return { 204: { description: 'Done' } };
  const schema = schemas.of(response, 'output');
  return { [status]: { description: 'Done', content: { [contentType]: { schema } } } };
}

/** Names of schemas: those of the constants that hold them, `routeViewSchema` as `RouteView`. */
const NAMES: ReadonlyMap<unknown, string> = new Map(
  Object.entries({ ...replicaApi, ...operatorApi })
    .filter(([name, value]) => name.endsWith('Schema') && value instanceof z.ZodObject)
    .map(([name, value]) => [
      value,
      name.replace(/Schema$/, '').replace(/^./, (first) => first.toUpperCase()),
    ]),
);
const EVENT_NAMES = new Map<unknown, string>([
  [STREAM_EVENTS.netmap, 'Netmap'],
  [STREAM_EVENTS.delta, 'NetmapDelta'],
]);

/** Named schemas once, referred to by the rest. */
class Components {
  readonly #schemas = new Map<string, object>();

  of(schema: z.ZodType, io: 'input' | 'output'): object {
    const name = NAMES.get(schema) ?? EVENT_NAMES.get(schema);
    if (name === undefined) return plain(schema, io);
    if (!this.#schemas.has(name)) this.#schemas.set(name, plain(schema, io));
    return { $ref: `#/components/schemas/${name}` };
  }

  all(): object {
    const sorted = [...this.#schemas].sort(([a], [b]) => (a < b ? -1 : 1));
    return Object.fromEntries(sorted);
  }
}

function plain(schema: z.ZodType, io: 'input' | 'output'): object {
  const { $schema: _, ...json } = z.toJSONSchema(schema, {
    io,
    reused: 'inline',
    unrepresentable: 'any',
  }) as Record<string, unknown>;
  return json;
}
