/**
 * The native handles of vectors and endpoint tables, made once for each and kept in it. The addon
 * holds on to the memory, not to the object: when that is collected, the handle is released.
 */
import {
  ENDPOINT_RECORD_SIZE,
  type EndpointTable,
  type InboundVector,
  type OutboundVector,
  UNBOUND,
} from '../vector.ts';
import type { Addon, EndpointsHandle, InboundHandle, OutboundHandle } from './addon.ts';

type Handle = Parameters<Addon['release']>[0];

const collected = new FinalizationRegistry<{ addon: Addon; handle: Handle }>(({ addon, handle }) =>
  addon.release(handle),
);

/** Has the handle released when `owner` is collected. */
export function releaseWith<H extends Handle>(addon: Addon, owner: object, handle: H): H {
  collected.register(owner, { addon, handle });
  return handle;
}

export function bindOutbound(addon: Addon, vector: OutboundVector): OutboundHandle {
  if (vector.handle === UNBOUND) {
    const columns = new Uint8Array(vector.columns);
    const handle = addon.bindOutbound(vector.arena, columns, vector.capacity);
    vector.handle = releaseWith(addon, vector, handle);
  }
  return vector.handle as OutboundHandle;
}

export function bindInbound(addon: Addon, vector: InboundVector): InboundHandle {
  if (vector.handle === UNBOUND) {
    const handle = addon.bindInbound(
      vector.arena,
      new Uint8Array(vector.columns),
      vector.sources.bytes.subarray(0, vector.buffers * ENDPOINT_RECORD_SIZE),
      new Uint8Array(vector.groups.columns),
      vector.capacity,
      vector.messageCapacity,
    );
    vector.handle = releaseWith(addon, vector, handle);
  }
  return vector.handle as InboundHandle;
}

export function bindEndpoints(addon: Addon, table: EndpointTable): EndpointsHandle {
  if (table.handle === UNBOUND) {
    table.handle = releaseWith(addon, table, addon.bindEndpoints(table.bytes));
  }
  return table.handle as EndpointsHandle;
}
