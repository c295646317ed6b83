/** What this gateway knows of a flow between its site and another: from the netmap in force and the kernel. */
import type { Netmap } from '../../control/netmap.ts';
import { numericAddress } from '../../control/policy/address-set.ts';
import type { MeshView } from '../mesh/mesh-view.ts';
import { type NearAndFar, readKernelFacts } from './kernel-facts.ts';
import { farOf, nearOf, policyOf, type RoutesHere } from './netmap-facts.ts';
import type { SideFacts } from './side-facts.ts';

/**
 * @param always whether the kernel is asked about what the policy denies, too: for ourselves
 */
export async function readOwnSide(
  view: Pick<MeshView, 'kernel' | 'policy' | 'inForce'>,
  netmap: Netmap,
  interfaceName: string,
  own: NearAndFar,
  always: boolean,
): Promise<SideFacts> {
  const { near, far, flow } = own;
  const policy = policyOf(netmap, view.policy, flow);
  const isTold = always || policy.verdict === 'allow';
  return {
    connector: netmap.self.name,
    vnet: netmap.self.vnetName,
    device: interfaceName,
    revision: netmap.revision,
    serving: netmap.self.serving,
    near: nearOf(netmap, numericAddress(near)!),
    far: farOf(netmap, numericAddress(far)!, routesHere(view)),
    policy,
    kernel: isTold ? await readKernelFacts(own, interfaceName) : null,
  };
}

export function routesHere({ kernel, inForce }: Pick<MeshView, 'kernel' | 'inForce'>): RoutesHere {
  return { conflicts: kernel.conflicts, breakout: inForce.wanted?.breakout };
}
