/** The API's description (OpenAPI 3.1), from the schemas that validate it; checked in as docs/openapi.json. */
import { z } from 'zod';
import * as replicaApi from '../../control/api.ts';
import { PROBLEM_TYPE, problemSchema, STREAM_EVENTS } from '../../control/api.ts';
import * as netmap from '../../control/netmap.ts';
import * as operatorApi from '../../control/operator-api.ts';
import * as policyApi from '../../control/policy-api.ts';
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
  const paths: Record<string, Record<string, unknown>> = {};
  const problem = { content: { [PROBLEM_TYPE]: { schema: schemaOf(problemSchema) } } };
  for (const endpoint of endpoints) {
    const path = endpoint.path.replace(/:([a-z]+)/g, '{$1}');
    const operation = {
      summary: endpoint.summary,
      description: WHO[endpoint.access],
      operationId: operationId(endpoint),
      ...(endpoint.access === 'public' ? {} : { security: [{ bearer: [] }] }),
      ...parametersOf(endpoint),
      ...(endpoint.body && {
        requestBody: {
          required: true,
          content: { 'application/json': { schema: schemaOf(endpoint.body) } },
        },
      }),
      responses: {
        ...responseOf(endpoint),
        default: { description: 'Error', ...problem },
      },
    };
    paths[path] = { ...paths[path], [endpoint.method.toLowerCase()]: operation };
  }
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
      schemas: components(),
    },
  };
}

function operationId({ method, path }: Endpoint): string {
  const words = path.split(/[^A-Za-z0-9]+/).filter((word) => word !== '' && word !== 'v1');
  return [method.toLowerCase(), ...words].join('-');
}

function parametersOf({ params, query }: Endpoint): object {
  const of = (schema: z.ZodObject | undefined, where: 'path' | 'query'): object[] =>
    Object.entries(schema?.shape ?? {}).map(([name, part]) => ({
      name,
      in: where,
      required: where === 'path' || !(part as z.ZodType).safeParse(undefined).success,
      schema: schemaOf(part as z.ZodType),
    }));
  const parameters = [...of(params, 'path'), ...of(query, 'query')];
  return parameters.length === 0 ? {} : { parameters };
}

function responseOf(endpoint: Endpoint): object {
  const { response, contentType = 'application/json', status = 200, stream } = endpoint;
  if (stream) {
    const names = Object.keys(STREAM_EVENTS).join(', ');
    const description = `Events ${names}, each with JSON of the schema of its name as data, and the netmap's id as id`;
    return { 200: { description, content: { [contentType]: { schema: { type: 'string' } } } } };
  }
  if (response === undefined) return { 204: { description: 'Done' } };
  const schema = schemaOf(response);
  return { [status]: { description: 'Done', content: { [contentType]: { schema } } } };
}

/** Schemas that have a name: that of the constant that holds them, `routeViewSchema` as `RouteView`. */
const NAMED = new Map<z.ZodType, string>();
for (const [name, value] of Object.entries({
  ...netmap,
  ...replicaApi,
  ...operatorApi,
  ...policyApi,
})) {
  if (value instanceof z.ZodObject) NAMED.set(value, nameOf(name));
}

function nameOf(constant: string): string {
  return constant.replace(/Schema$/, '').replace(/^./, (first) => first.toUpperCase());
}

function reference(name: string): string {
  return `#/components/schemas/${name}`;
}

/** A schema, or where the description has it. */
function schemaOf(schema: z.ZodType): object {
  const name = NAMED.get(schema);
  return name === undefined ? plain(z.toJSONSchema(schema)) : { $ref: reference(name) };
}

/** All named schemas, in order, each referring to the others. */
function components(): object {
  const registry = z.registry<{ id: string }>();
  for (const [schema, id] of NAMED) registry.add(schema, { id });
  const { schemas } = z.toJSONSchema(registry, { uri: reference });
  const sorted = Object.entries(schemas).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(sorted.map(([name, schema]) => [name, plain(schema)]));
}

/** Without what the document says once for all. */
function plain({ $schema: _, $id: __, ...schema }: object & { $schema?: unknown; $id?: unknown }) {
  return schema;
}
