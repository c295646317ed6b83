/** What this gateway knows of a flow between its site and another: from the netmap in force and the kernel. */
import { isDefaultRoute } from '../../control/breakout.ts';
import type { Netmap } from '../../control/netmap.ts';
import { numericAddress } from '../../control/policy/address-set.ts';
import { reportMesh } from '../mesh/mesh-report.ts';
import type { MeshView } from '../mesh/mesh-view.ts';
import { type NearAndFar, readKernelFacts } from './kernel-facts.ts';
import { farOf, nearOf, policyOf, type RoutesHere } from './netmap-facts.ts';
import type { SideFacts } from './side-facts.ts';

/**
 * @param always whether the kernel is asked about what the policy denies, too: for ourselves
 */
export async function readOwnSide(
  view: MeshView,
  netmap: Netmap,
  interfaceName: string,
  own: Omit<NearAndFar, 'internet'>,
  always: boolean,
): Promise<SideFacts> {
  const { near, far, flow } = own;
  const policy = policyOf(netmap, view.policy, flow);
  const farFacts = farOf(netmap, numericAddress(far)!, routesHere(view));
  const peer = reportMesh(view).peers.find(
    ({ connector, serving }) => serving && connector === farFacts.chosen?.connector,
  );
  const nearFacts = nearOf(netmap, numericAddress(near)!);
  const internet = nearFacts.prefix !== null && isDefaultRoute(nearFacts.prefix);
  const isTold = always || policy.verdict === 'allow';
  return {
    connector: netmap.self.name,
    vnet: netmap.self.vnetName,
    device: interfaceName,
    revision: netmap.revision,
    serving: netmap.self.serving,
    near: nearFacts,
    far: farFacts,
    policy,
    path: peer === undefined ? null : { kind: peer.path.kind, mtu: peer.mtu },
    kernel: isTold ? await readKernelFacts({ ...own, internet }, interfaceName) : null,
  };
}

export function routesHere({ kernel, inForce }: Pick<MeshView, 'kernel' | 'inForce'>): RoutesHere {
  return { conflicts: kernel.conflicts, breakout: inForce.wanted?.breakout };
}
