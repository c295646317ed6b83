/**
 * What keeps traffic from flowing although everything looks up, in sentences that say what to do: the
 * kernel's settings, filters of others, silence of a peer (of an edge: edge-diagnosis.ts), conflicts of routes, the clock.
 */
import { readFile } from 'node:fs/promises';
import { formatPrefix, parsePrefix } from '../../routing/prefix.ts';
import { objectsOf, stringOf, tryCommand } from '../../tun/command.ts';
import type { RouteConflict } from '../../tun/route-plan.ts';
import { readSysctl } from '../../tun/sysctl.ts';
import { diagnoseEdges } from './edge-diagnosis.ts';
import { advertisedRouters, FORWARDING } from './forwarding.ts';
import type { MeshStatus } from './mesh-status.ts';
import type { MeshView } from './mesh-view.ts';

/** ms of clock difference worth a word: certificates and handshakes take more. */
const MOST_CLOCK_OFFSET = 60_000;

/** Sentences, the gravest first. */
export async function diagnose(view: MeshView, status: MeshStatus): Promise<string[]> {
  if (view.identity.gone !== undefined) {
    return [
      `This connector was deleted at the edge, or this replica of it (${view.identity.gone}): nothing is routed any more. \`connector down\`, then join again with a new token.`,
    ];
  }
  const now = Date.now();
  return [
    ...diagnoseEdges(status, now),
    ...sayClock(view),
    ...sayPolicy(view),
    ...sayKernel(view),
    ...sayPeers(view, status),
    ...(await sayForwarding(status)),
    ...(await sayFilters(status.interface)),
    ...(await sayReversePath(status.interface)),
    ...view.kernel.conflicts.map(describeConflict),
    ...sayAdvertised(view),
    ...sayPending(status),
  ];
}

function sayClock({ clockOffset: offset }: MeshView): string[] {
  if (offset === undefined || Math.abs(offset) < MOST_CLOCK_OFFSET) return [];
  const direction = offset > 0 ? 'behind' : 'ahead of';
  return [
    `This host's clock is ${Math.round(Math.abs(offset) / 1_000)} s ${direction} the edge's: handshakes may be refused as replays. Set the one that is wrong.`,
  ];
}

/** Only peers that something was sent to: a mesh in which nobody speaks is not a broken one. */
function sayPeers({ silence }: MeshView, { peers }: MeshStatus): string[] {
  return peers.flatMap(({ connector, publicKey, lastHandshake, path }) => {
    const since = silence.since(publicKey);
    if (since === undefined) return [];
    const last = lastHandshake === null ? 'never' : `at ${lastHandshake}`;
    return `Nothing was heard from ${connector} since ${new Date(since).toISOString()}, although there is traffic for it; the last handshake with it was ${last}. Is it up, and bound to ${path.edge ?? 'an edge'}?`;
  });
}

function sayPolicy({ policy }: MeshView): string[] {
  if (policy.fault === undefined) return [];
  const effect = policy.closed
    ? 'so nothing passes to or from other connectors'
    : 'so the one before it stays in force';
  return [
    `The policy cannot be put in place, ${effect}; it is tried again. ${policy.fault} It needs nftables 1.0 or later: \`nft --version\`.`,
  ];
}

function sayKernel({ inForce: { kernelFault } }: MeshView): string[] {
  return kernelFault === undefined
    ? []
    : [`Not all of the netmap is installed, and it is tried again: ${kernelFault}`];
}

async function sayForwarding({ routes }: MeshStatus): Promise<string[]> {
  const own = routes.filter(({ state }) => state === 'ours');
  const said: string[] = [];
  for (const family of [4, 6] as const) {
    if (!own.some(({ prefix }) => parsePrefix(prefix)?.family === family)) continue;
    if ((await readSysctl(FORWARDING[family])) !== '0') continue;
    const routers = family === 6 ? await advertisedRouters() : [];
    const first =
      routers.length === 0
        ? ''
        : ` It was left off because ${routers.join(', ')} has its default route from router advertisements: set accept_ra to 2 there first.`;
    said.push(
      `${FORWARDING[family]} is 0: the hosts of this site are not forwarded. Set it to 1.${first}`,
    );
  }
  return said;
}

/** Chains of others that drop what they do not accept, and do not speak of our interface. */
async function sayFilters(interfaceName: string): Promise<string[]> {
  const { code, stdout } = await tryCommand('nft', ['-j', 'list', 'ruleset']).catch(() => {
    return { code: 1, stdout: '' };
  });
  if (code !== 0) return [];
  const objects = objectsOf((JSON.parse(stdout) as { nftables?: unknown }).nftables);
  const chains = objects.flatMap(({ chain }) => objectsOf([chain]));
  const rules = objects.flatMap(({ rule }) => objectsOf([rule]));
  return chains
    .filter((chain) => chain.hook === 'forward' && chain.policy === 'drop')
    .filter(
      ({ family, table, name }) =>
        !rules.some(
          (rule) =>
            rule.family === family &&
            rule.table === table &&
            rule.chain === name &&
            JSON.stringify(rule).includes(`"${interfaceName}"`),
        ),
    )
    .map((chain) => {
      const where = `${stringOf(chain, 'family')} ${stringOf(chain, 'table')} ${stringOf(chain, 'name')}`;
      return `The chain ${where} drops what it does not accept, and no rule of it names ${interfaceName}: see that it lets packets in from there and out to there.`;
    });
}

async function sayReversePath(interfaceName: string): Promise<string[]> {
  const path = `/proc/sys/net/ipv4/conf/${interfaceName}/rp_filter`;
  const own = (await readFile(path, 'utf8').catch(() => '0')).trim();
  const all = (await readSysctl('net.ipv4.conf.all.rp_filter')) ?? '0';
  if (Math.max(Number(own), Number(all)) !== 1) return [];
  return [
    `rp_filter is strict on ${interfaceName}: packets from sources that are not routed into the mesh here are dropped. Set net.ipv4.conf.${interfaceName}.rp_filter to 2.`,
  ];
}

function describeConflict({ prefix, local, outcome }: RouteConflict): string {
  const here = `${formatPrefix(local.prefix)} (${local.connected ? 'connected to' : 'routed by'} ${local.interfaceName})`;
  return outcome === 'not-installed'
    ? `${formatPrefix(prefix)} does not go into the mesh: ${here} is local, and local wins.`
    : `Of ${formatPrefix(prefix)} the part ${here} stays local.`;
}

function sayAdvertised({ identity, announceFault: fault }: MeshView): string[] {
  if (!identity.advertisePending) return [];
  const what = identity.advertise.join(', ') || 'nothing any more';
  const why = fault === undefined ? '' : ` ${fault.message}`;
  return fault?.again === false
    ? [`The edge does not take that this gateway advertises ${what}: correct --advertise.${why}`]
    : [`The edge does not know yet that this gateway advertises ${what}; it is told again.${why}`];
}

function sayPending({ routes }: MeshStatus): string[] {
  return routes
    .filter(({ state }) => state === 'pending')
    .map(({ prefix }) => `${prefix} waits for approval: \`connector routes approve\` on the edge.`);
}
