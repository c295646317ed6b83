/** What this gateway knows of a flow between its site and another: from the netmap in force and the kernel. */
import type { Netmap } from '../../control/netmap.ts';
import { numericAddress } from '../../control/policy/address-set.ts';
import type { Flow } from '../../control/policy/evaluate.ts';
import type { MeshView } from '../mesh/mesh-view.ts';
import { readKernelFacts } from './kernel-facts.ts';
import { farOf, nearOf, policyOf } from './netmap-facts.ts';
import type { SideFacts } from './side-facts.ts';

export interface OwnFlow {
  /** Address of this site, and the one at the other end. */
  readonly near: string;
  readonly far: string;
  readonly flow: Flow;
}

/**
 * @param always whether the kernel is asked about what the policy denies, too: for ourselves
 */
export async function readOwnSide(
  view: Pick<MeshView, 'kernel' | 'policy'>,
  netmap: Netmap,
  interfaceName: string,
  { near, far, flow }: OwnFlow,
  always: boolean,
): Promise<SideFacts> {
  const policy = policyOf(netmap, view.policy, flow);
  const isTold = always || policy.verdict === 'allow';
  return {
    connector: netmap.self.name,
    vnet: netmap.self.vnetName,
    device: interfaceName,
    revision: netmap.revision,
    serving: netmap.self.serving,
    near: nearOf(netmap, numericAddress(near)!),
    far: farOf(netmap, numericAddress(far)!, view.kernel.conflicts),
    policy,
    kernel: isTold ? await readKernelFacts(near, far, interfaceName) : null,
  };
}
