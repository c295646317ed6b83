/**
 * The registry's entries in the store: one JSON value an object. Keys name the virtual network and the
 * connector that an object belongs to, so that even a deletion tells whom it concerns:
 *
 *   registry/head                          registry/replica/VNET/CONNECTOR/REPLICA
 *   registry/vnet/VNET                     registry/route/VNET/CONNECTOR/ROUTE
 *   registry/connector/VNET/CONNECTOR      registry/serving/VNET/CONNECTOR
 *   registry/token/TOKEN                   registry/edge/EDGE
 *   registry/policy/VNET/VERSION
 */
import type { z } from 'zod';
import { CausewayError } from '../../errors.ts';
import {
  connectorSchema,
  edgeSchema,
  headSchema,
  policyRecordSchema,
  replicaSchema,
  routeSchema,
  servingSchema,
  tokenSchema,
  vnetSchema,
} from '../model.ts';

export const REGISTRY_PREFIX = 'registry/';
export const HEAD_KEY = `${REGISTRY_PREFIX}head`;

const SCHEMAS = {
  head: headSchema,
  vnet: vnetSchema,
  connector: connectorSchema,
  replica: replicaSchema,
  route: routeSchema,
  serving: servingSchema,
  token: tokenSchema,
  edge: edgeSchema,
  policy: policyRecordSchema,
} as const;

export type ObjectKind = keyof typeof SCHEMAS;
export type ObjectOf<K extends ObjectKind> = z.infer<(typeof SCHEMAS)[K]>;

/** An object of any kind, told apart by `kind`. */
export type RegistryObject = {
  [K in ObjectKind]: { readonly kind: K; readonly object: ObjectOf<K> };
}[ObjectKind];

/** One object before and after a change; not both are undefined. */
export type RegistryEvent = {
  [K in ObjectKind]: {
    readonly kind: K;
    readonly key: string;
    readonly before: ObjectOf<K> | undefined;
    readonly after: ObjectOf<K> | undefined;
  };
}[ObjectKind];

export function keyOf(entry: RegistryObject): string {
  const { kind, object } = entry;
  switch (kind) {
    case 'head':
      return HEAD_KEY;
    case 'vnet':
    case 'token':
    case 'edge':
      return `${REGISTRY_PREFIX}${kind}/${object.id}`;
    case 'connector':
      return `${REGISTRY_PREFIX}${kind}/${object.vnet}/${object.id}`;
    case 'serving':
      return `${REGISTRY_PREFIX}${kind}/${object.vnet}/${object.connector}`;
    case 'policy':
      return `${REGISTRY_PREFIX}${kind}/${object.vnet}/${object.version}`;
    case 'replica':
    case 'route':
      return `${REGISTRY_PREFIX}${kind}/${object.vnet}/${object.connector}/${object.id}`;
  }
}

export interface ObjectKey {
  readonly kind: ObjectKind;
  /** What follows the kind. */
  readonly ids: readonly string[];
}

/** Undefined for a key that is none of the registry's. */
export function parseKey(key: string): ObjectKey | undefined {
  if (!key.startsWith(REGISTRY_PREFIX)) return undefined;
  const [kind, ...ids] = key.slice(REGISTRY_PREFIX.length).split('/');
  return kind !== undefined && kind in SCHEMAS ? { kind: kind as ObjectKind, ids } : undefined;
}

/**
 * Reads what the store has.
 *
 * @throws CausewayError STORE_DAMAGED, STORE_NEWER
 */
export function decodeObject(key: string, value: string): RegistryObject {
  const kind = parseKey(key)?.kind;
  if (kind === undefined) {
    throw new CausewayError(
      'STORE_NEWER',
      `The registry has an entry of a kind not known: ${key}.`,
    );
  }
  let json: unknown;
  try {
    json = JSON.parse(value);
  } catch {
    throw damaged(key, 'no JSON');
  }
  const parsed = SCHEMAS[kind].safeParse(json);
  if (!parsed.success) throw damaged(key, parsed.error.issues[0]?.message ?? 'not valid');
  const entry = { kind, object: parsed.data } as RegistryObject;
  if (keyOf(entry) !== key) throw damaged(key, 'not the object that its key says');
  return entry;
}

function damaged(key: string, fault: string): CausewayError {
  return new CausewayError(
    'STORE_DAMAGED',
    `The registry's entry ${key} cannot be read (${fault}): restore a copy of the registry.`,
  );
}
