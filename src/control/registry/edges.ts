/** Rules for edges. */
import { CausewayError } from '../../errors.ts';
import { type Edge, edgeSchema, MAX_EDGES, nameSchema } from '../model.ts';
import { checked, checkFree, checkRoom, existing } from './checks.ts';
import { Draft, type Plan, type RuleContext } from './draft.ts';
import type { RegistryView } from './view.ts';

export interface PutEdgeInput {
  readonly name: string;
  readonly publicKey: string;
  readonly endpoints: readonly string[];
  readonly urls: readonly string[];
  readonly tlsPin: string | null;
  /** Of the certificate that is announced; undefined = none is. */
  readonly nextTlsPin?: string | null | undefined;
}

/**
 * An edge says what it is, at each start: the one with that key, else the one of that name, is brought
 * up to date, or it is created.
 *
 * @throws CausewayError VALUE_INVALID, KEY_TAKEN, NAME_TAKEN, LIMIT_REACHED, MESH_FULL
 */
export function putEdge(
  view: RegistryView,
  input: PutEdgeInput,
  { now, newId }: RuleContext,
): Plan<Edge> {
  const name = checked(nameSchema, 'name', input.name);
  const named = view.findEdge(name);
  const holder = view.byPublicKey(input.publicKey);
  if (holder !== undefined && !('endpoints' in holder)) {
    throw new CausewayError(
      'KEY_TAKEN',
      'A replica has this WireGuard key: an edge needs a key of its own.',
    );
  }
  if (holder !== undefined && named?.id !== holder.id) checkFree(named, 'edge', name);
  const before = holder ?? named;
  if (before === undefined) checkRoom(view.edges.size, MAX_EDGES, 'edges');
  const draft = new Draft(view);
  const { nextTlsPin, ...given } = input;
  const edge = checked(edgeSchema, 'edge', {
    id: before?.id ?? newId(),
    ...given,
    ...announced(nextTlsPin),
    relayId: before?.relayId ?? draft.takeRelayId(),
    created: before?.created ?? now,
  });
  if (JSON.stringify(sorted(edge)) !== JSON.stringify(sorted(before))) draft.put('edge', edge);
  return draft.plan(edge);
}

/**
 * What gateways know an edge's certificate by from now on.
 *
 * @throws CausewayError NOT_FOUND, VALUE_INVALID
 */
export function setEdgePins(
  view: RegistryView,
  reference: string,
  { tlsPin, nextTlsPin }: Pick<PutEdgeInput, 'tlsPin' | 'nextTlsPin'>,
): Plan<Edge> {
  const { nextTlsPin: _, ...before } = existing(view.findEdge(reference), 'edge', reference);
  const edge = checked(edgeSchema, 'edge', { ...before, tlsPin, ...announced(nextTlsPin) });
  const draft = new Draft(view);
  draft.put('edge', edge);
  return draft.plan(edge);
}

/** Absent where nothing is announced: the entry is then as versions that know no announcement have it. */
function announced(nextTlsPin: string | null | undefined): { nextTlsPin?: string | null } {
  return nextTlsPin === undefined ? {} : { nextTlsPin };
}

/** @throws CausewayError NOT_FOUND */
export function deleteEdge(view: RegistryView, reference: string): Plan<Edge> {
  const edge = existing(view.findEdge(reference), 'edge', reference);
  const draft = new Draft(view);
  draft.delete('edge', edge);
  return draft.plan(edge);
}

function sorted(edge: Edge | undefined): [string, unknown][] {
  return Object.entries(edge ?? {}).toSorted(([a], [b]) => (a < b ? -1 : 1));
}
