/** Answers other gateways' questions about flows, as far as they concern the asker (concern.ts). */
import { numericAddress } from '../../control/policy/address-set.ts';
import { readOwnSide } from '../explain/own-side.ts';
import type { MeshView } from '../mesh/mesh-view.ts';
import { concernOf } from './concern.ts';
import type { Asker } from './diagnosis-server.ts';
import type { FlowAnswer, FlowRequest } from './protocol.ts';

/** Undefined = the question makes no sense, or there is no netmap any more. */
export async function answerFlow(
  view: MeshView,
  asker: Asker,
  request: FlowRequest,
): Promise<FlowAnswer | undefined> {
  const { netmap } = view.inForce;
  if (netmap === undefined) return undefined;
  const concern = concernOf(netmap, asker.id, request);
  if (concern === undefined) return undefined;
  if ('refused' in concern) return { ...concern, revision: netmap.revision };
  const { protocol, port } = request;
  const source = numericAddress(request.source)!;
  const destination = numericAddress(request.destination)!;
  const departs = concern.near === request.source;
  const own = { ...concern, departs, flow: { source, destination, protocol, port } };
  const { interfaceName } = view.snapshot;
  return { facts: await readOwnSide(view, netmap, interfaceName, own, false) };
}
