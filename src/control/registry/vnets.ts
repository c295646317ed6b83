/** Rules for the registry itself and for virtual networks. */
import { CausewayError } from '../../errors.ts';
import { formatPrefix, parsePrefixStrict } from '../../routing/prefix.ts';
import { DEFAULT_MESH_IPV4, MESH_IPV4_LENGTHS, uniqueLocalRange } from '../mesh.ts';
import {
  commentSchema,
  type Head,
  MAX_VNETS,
  nameSchema,
  type Vnet,
  vnetSchema,
} from '../model.ts';
import { checked, checkFree, checkRoom, existingVnet } from './checks.ts';
import { Draft, type Plan, type RuleContext } from './draft.ts';
import type { RegistryView } from './view.ts';

export const DEFAULT_VNET_NAME = 'default';

export interface InitializeInput {
  /** Five random bytes for the IPv6 range. */
  readonly globalId: Uint8Array;
  /** DEFAULT_MESH_IPV4 unless given. */
  readonly meshIpv4?: string | undefined;
}

/** The first change: the head and the default virtual network. Does nothing if that is done. */
export function initializeRegistry(
  view: RegistryView,
  input: InitializeInput,
  { now, newId }: RuleContext,
): Plan<Head> {
  if (view.initialized) return { writes: [], result: view.head };
  const vnet = checked(vnetSchema, 'virtual network', {
    id: newId(),
    name: DEFAULT_VNET_NAME,
    comment: '',
    created: now,
  });
  const head: Head = {
    schema: 1,
    defaultVnet: vnet.id,
    meshIpv4: meshRange(input.meshIpv4 ?? DEFAULT_MESH_IPV4),
    meshIpv6: uniqueLocalRange(input.globalId),
    nextMeshIndex: 1,
    nextRelayId: 1,
    epochs: [],
  };
  const draft = new Draft(view, head);
  draft.put('vnet', vnet);
  return draft.plan(head);
}

export interface CreateVnetInput {
  readonly name: string;
  readonly comment?: string | undefined;
  /** New connectors go there unless told otherwise. */
  readonly isDefault?: boolean | undefined;
}

/** @throws CausewayError VALUE_INVALID, NAME_TAKEN, LIMIT_REACHED */
export function createVnet(
  view: RegistryView,
  input: CreateVnetInput,
  { now, newId }: RuleContext,
): Plan<Vnet> {
  const name = checked(nameSchema, 'name', input.name);
  checkFree(view.findVnet(name), 'virtual network', name);
  checkRoom(view.vnets.size, MAX_VNETS, 'virtual networks');
  const comment = checked(commentSchema, 'comment', input.comment ?? '');
  const vnet = checked(vnetSchema, 'virtual network', { id: newId(), name, comment, created: now });
  const draft = new Draft(view);
  draft.put('vnet', vnet);
  if (input.isDefault === true) draft.changeHead({ defaultVnet: vnet.id });
  return draft.plan(vnet);
}

/** @throws CausewayError NOT_FOUND, VNET_IN_USE */
export function deleteVnet(view: RegistryView, reference: string): Plan<Vnet> {
  const vnet = existingVnet(view, reference);
  if (vnet.id === view.head.defaultVnet) {
    throw new CausewayError(
      'VNET_IN_USE',
      `"${vnet.name}" is the default virtual network: make another the default first.`,
    );
  }
  const connectors = view.connectorsIn(vnet.id).size;
  if (connectors > 0) {
    throw new CausewayError(
      'VNET_IN_USE',
      `There are connectors (${connectors}) in the virtual network "${vnet.name}": delete them first.`,
    );
  }
  const draft = new Draft(view);
  for (const record of view.policiesOf(vnet.id).values()) draft.delete('policy', record);
  draft.delete('vnet', vnet);
  return draft.plan(vnet);
}

/** @throws CausewayError NOT_FOUND */
export function setDefaultVnet(view: RegistryView, reference: string): Plan<Vnet> {
  const vnet = existingVnet(view, reference);
  const draft = new Draft(view);
  if (vnet.id !== view.head.defaultVnet) draft.changeHead({ defaultVnet: vnet.id });
  return draft.plan(vnet);
}

function meshRange(text: string): string {
  const parsed = parsePrefixStrict(text);
  const [shortest, longest] = MESH_IPV4_LENGTHS;
  if (parsed?.prefix.family === 4 && !parsed.hostBits) {
    const { length } = parsed.prefix;
    if (length >= shortest && length <= longest) return formatPrefix(parsed.prefix);
  }
  throw new CausewayError(
    'VALUE_INVALID',
    `"${text}" is no mesh range: it must be an IPv4 prefix of /${shortest} to /${longest} without host bits.`,
  );
}
