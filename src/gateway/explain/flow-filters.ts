/**
 * What the host's packet filters (doctor/host-filters.ts) do with a flow and with its answers: every base
 * chain on their way that does not let them pass. Pure.
 */
import { bytesOf } from '../../control/policy/address-set.ts';
import type { Flow } from '../../control/policy/evaluate.ts';
import { hasPorts } from '../../control/policy/services.ts';
import { concerns, type FilterChain, type ProbePacket } from '../doctor/filter-model.ts';
import { FilterWalk } from '../doctor/filter-verdict.ts';
import { forwardRemedy } from '../doctor/firewall-remedy.ts';
import { filterSchema, type KernelFacts } from './side-facts.ts';

type Filter = KernelFacts['filters'][number];

const MOST = 8;
/** Of those that systems give to who opens a connection (RFC 6335 § 6). */
const CLIENT_PORT = 50_000;

export interface FilteredFlow {
  readonly flow: Flow;
  /** Whether it begins at this site. */
  readonly departs: boolean;
  /** The mesh's interface, and the one that the site's host is behind; undefined = it is the gateway itself. */
  readonly mesh: string;
  readonly lan: string | undefined;
}

export function findFilters(chains: readonly FilterChain[], filtered: FilteredFlow): Filter[] {
  const walk = new FilterWalk(chains);
  const { mesh, lan, departs } = filtered;
  const family = filtered.flow.source.family;
  const found: Filter[] = [];
  for (const way of ['flow', 'answer'] as const) {
    const isOut = departs === (way === 'flow');
    const packet = packetOf(filtered, way, isOut ? [lan, mesh] : [mesh, lan]);
    const hooks = hooksOf(lan === undefined, isOut);
    for (const chain of chains) {
      const isAsked = hooks.some((hook) => hook === chain.hook) && chain.type !== 'nat';
      if (!isAsked || !concerns(chain, family)) continue;
      const passage = walk.passage(chain, packet);
      if (passage === 'passes') continue;
      const told = filterSchema.safeParse({
        ...{ tool: chain.tool, family: chain.family, table: chain.table, chain: chain.name },
        ...{ hook: chain.hook, product: forwardRemedy(chain, chains, mesh).product },
        ...{ way, passage },
      });
      if (told.success && !found.some((one) => isSame(one, told.data))) found.push(told.data);
    }
  }
  return found.slice(0, MOST);
}

function hooksOf(isOwn: boolean, isOut: boolean): readonly string[] {
  if (!isOwn) return ['prerouting', 'forward', 'postrouting'];
  return isOut ? ['output', 'postrouting'] : ['prerouting', 'input'];
}

/** The first packet of the flow itself, as the gateway forwards it. */
export function flowPacket(filtered: FilteredFlow): ProbePacket {
  const { mesh, lan, departs } = filtered;
  return packetOf(filtered, 'flow', departs ? [lan, mesh] : [mesh, lan]);
}

function packetOf(
  { flow }: FilteredFlow,
  way: Filter['way'],
  [from, to]: readonly [string | undefined, string | undefined],
): ProbePacket {
  const { protocol, port } = flow;
  const served = hasPorts(protocol) ? port : undefined;
  const client = hasPorts(protocol) ? CLIENT_PORT : undefined;
  const source = bytesOf(flow.source);
  const destination = bytesOf(flow.destination);
  const common = { family: flow.source.family, in: from, out: to, protocol };
  return way === 'flow'
    ? {
        ...{ ...common, source, destination },
        ...{ sourcePort: client, destinationPort: served, state: 'new' },
      }
    : {
        ...{ ...common, source: destination, destination: source },
        ...{ sourcePort: served, destinationPort: client, state: 'established' },
      };
}

/** The flow and its answers are stopped by the same chain. */
function isSame(a: Filter, b: Filter): boolean {
  return a.tool === b.tool && a.family === b.family && a.table === b.table && a.chain === b.chain;
}
