/** The native handles of vectors and endpoint tables, made once for each. */
import {
  type EndpointTable,
  type InboundVector,
  type OutboundVector,
  PacketGroups,
} from '../vector.ts';
import type { Addon, EndpointsHandle, InboundHandle, OutboundHandle } from './addon.ts';

export interface InboundBinding {
  readonly handle: InboundHandle;
  /** What `coalesce` gathers this vector's packets into. */
  readonly groups: PacketGroups;
}

const outbounds = new WeakMap<OutboundVector, OutboundHandle>();
const inbounds = new WeakMap<InboundVector, InboundBinding>();
const endpointTables = new WeakMap<EndpointTable, EndpointsHandle>();

export function bindOutbound(addon: Addon, vector: OutboundVector): OutboundHandle {
  let bound = outbounds.get(vector);
  if (bound === undefined) {
    bound = addon.bindOutbound(vector.arena, new Uint8Array(vector.columns), vector.capacity);
    outbounds.set(vector, bound);
  }
  return bound;
}

export function bindInbound(addon: Addon, vector: InboundVector): InboundBinding {
  let bound = inbounds.get(vector);
  if (bound === undefined) {
    const groups = new PacketGroups(vector.messageCapacity);
    const handle = addon.bindInbound(
      vector.arena,
      new Uint8Array(vector.columns),
      vector.sources.bytes,
      new Uint8Array(groups.columns),
      vector.capacity,
      vector.messageCapacity,
    );
    bound = { handle, groups };
    inbounds.set(vector, bound);
  }
  return bound;
}

export function bindEndpoints(addon: Addon, table: EndpointTable): EndpointsHandle {
  let bound = endpointTables.get(table);
  if (bound === undefined) {
    bound = addon.bindEndpoints(table.bytes);
    endpointTables.set(table, bound);
  }
  return bound;
}
