/**
 * Rules of the host that surely rewrite the addresses of a flow between the mesh and a host of the site:
 * the flow that is explained is then not the one that the other side sees. Pure.
 */
import { concerns, type FilterChain } from '../doctor/filter-model.ts';
import { natRemedy } from '../doctor/nat-remedy.ts';
import { NatWalk } from '../doctor/nat-verdict.ts';
import { type FilteredFlow, flowPacket } from './flow-filters.ts';
import { type KernelFacts, rewriteSchema } from './side-facts.ts';

type Rewrite = KernelFacts['rewrites'][number];

const MOST = 4;

export function findRewrites(chains: readonly FilterChain[], filtered: FilteredFlow): Rewrite[] {
  const { flow, departs, mesh, lan } = filtered;
  // The gateway's own addresses are the kernel's to choose.
  if (lan === undefined) return [];
  const { family } = flow.source;
  const packet = flowPacket(filtered);
  const walk = new NatWalk(chains);
  const way = departs ? 'into' : 'out';
  return chains
    .filter(({ type, hook }) => type === 'nat' && /^(pre|post)routing$/.test(hook ?? ''))
    .filter((chain) => concerns(chain, family) && walk.rewriting(chain, packet) !== undefined)
    .flatMap((chain): Rewrite[] => {
      const rewritten = {
        chain,
        way,
        interfaceName: mesh,
        links: [lan],
        family,
        remote: [],
      } as const;
      const told = rewriteSchema.safeParse({
        ...{ tool: chain.tool, family: chain.family, table: chain.table, chain: chain.name },
        ...{ hook: chain.hook, product: natRemedy(rewritten, chains).product, way },
      });
      return told.success ? [told.data] : [];
    })
    .slice(0, MOST);
}
