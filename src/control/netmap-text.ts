/**
 * Netmaps and deltas as text from the wire or from a file: bounded, validated, never an exception.
 * Beyond the schemas it checks what must be so between the parts.
 */
import type { z } from 'zod';
import { containsPrefix, maxPrefixLength, parsePrefix } from '../routing/prefix.ts';
import { type Decoded, schemaFault } from './decoded.ts';
import {
  type MeshAddresses,
  type Netmap,
  type NetmapDelta,
  type NetmapPeer,
  type NetmapSelf,
  receivedDeltaSchema,
  receivedNetmapSchema,
} from './netmap.ts';

/** Characters: some 100,000 peers. */
export const MAX_NETMAP_LENGTH = 1 << 26;

export function decodeNetmap(text: string): Decoded<Netmap> {
  const decoded = decode(receivedNetmapSchema, text);
  if (!decoded.ok) return decoded;
  const fault = netmapFault(decoded.value);
  return fault === undefined ? decoded : invalid(fault);
}

/** Whether it fits the netmap that it is for, `applyDelta` finds out. */
export function decodeDelta(text: string): Decoded<NetmapDelta> {
  return decode(receivedDeltaSchema, text);
}

/** What is wrong with a netmap whose parts are all valid; undefined if nothing is. */
export function netmapFault({ self, peers, edges, reserved }: Netmap): string | undefined {
  const { meshRanges } = self;
  if (!isHostIn(self.mesh, meshRanges)) return 'self.mesh is not in the mesh ranges';
  if (!isAscending(self.routes.map(({ prefix }) => prefix))) return 'self.routes is not in order';
  if (!isAscending(edges.map(({ id }) => id))) return 'edges is not in order';
  if (!isAscending(peers.map(({ replica }) => replica))) return 'peers is not in order';
  if (!isAscending((reserved ?? []).map(({ connector }) => connector))) {
    return 'reserved is not in order';
  }
  for (const peer of peers) {
    const fault = peerFault(peer, self);
    if (fault !== undefined) return fault;
  }
  const nodes = [self, ...peers, ...edges];
  const keys = [...peers, ...edges].map(({ publicKey }) => publicKey);
  if (new Set(keys).size !== keys.length) return 'two peers have one public key';
  if (new Set(nodes.map(({ relayId }) => relayId)).size !== nodes.length) {
    return 'two peers have one relay id';
  }
  return undefined;
}

/** What is wrong with a peer by itself. */
export function peerFault(peer: NetmapPeer, self: NetmapSelf): string | undefined {
  const where = `peer ${peer.replica}`;
  if (peer.replica === self.replica || peer.connector === self.connector) {
    return `${where} is of the receiver's own connector`;
  }
  if (peer.relayId === self.relayId) return `${where} has the receiver's relay id`;
  if (!isHostIn(peer.mesh, self.meshRanges)) return `${where}: mesh is not in the mesh ranges`;
  if (!peer.serving && peer.prefixes.length > 0) return `${where} has prefixes without serving`;
  if (!isAscending(peer.prefixes.map(({ prefix }) => prefix))) {
    return `${where}: prefixes is not in order`;
  }
  return undefined;
}

function decode<S extends z.ZodType>(schema: S, text: string): Decoded<z.infer<S>> {
  if (text.length > MAX_NETMAP_LENGTH) return invalid('too long');
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return invalid('no JSON');
  }
  const parsed = schema.safeParse(json);
  return parsed.success ? { ok: true, value: parsed.data } : invalid(schemaFault(parsed.error));
}

function isHostIn(addresses: MeshAddresses, ranges: MeshAddresses): boolean {
  const within = (text: string, rangeText: string): boolean => {
    const address = parsePrefix(text);
    const range = parsePrefix(rangeText);
    if (address === undefined || range === undefined) return false;
    return address.length === maxPrefixLength(address.family) && containsPrefix(range, address);
  };
  return within(addresses.ipv4, ranges.ipv4) && within(addresses.ipv6, ranges.ipv6);
}

/** Strictly: nothing twice. */
function isAscending(texts: readonly string[]): boolean {
  return texts.every((text, i) => i === 0 || texts[i - 1]! < text);
}

function invalid(fault: string): Decoded<never> {
  const message = `The edge sent a netmap that is not valid: ${fault}.`;
  return { ok: false, code: 'NETMAP_INVALID', message };
}
