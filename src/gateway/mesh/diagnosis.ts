/**
 * What keeps traffic from flowing although everything looks up: the gateway's own view (edges:
 * edge-diagnosis.ts, silence of a peer, policy, conflicts of routes, the clock), and the checks of its
 * host (doctor/host-checks.ts).
 */
import { parseAddress } from '../../routing/address.ts';
import { parsePrefix } from '../../routing/prefix.ts';
import { DIAGNOSIS_PORT } from '../diagnosis/port.ts';
import { sayConflicts } from '../doctor/conflict-check.ts';
import {
  type Finding,
  ok,
  problem,
  skipped,
  warning,
  withoutContradiction,
} from '../doctor/finding.ts';
import { checkHost } from '../doctor/host-checks.ts';
import type { GatewayScope } from '../doctor/scope.ts';
import { checkSpace } from '../doctor/state-check.ts';
import { diagnoseFlows } from '../flows/flow-diagnosis.ts';
import { diagnoseBreakout } from './breakout-diagnosis.ts';
import { diagnoseEdges } from './edge-diagnosis.ts';
import type { MeshStatus } from './mesh-status.ts';
import type { MeshView } from './mesh-view.ts';
import { diagnosePaths } from './path-diagnosis.ts';
import { forgetCommand } from './settings.ts';

/** ms of clock difference worth a word: certificates and handshakes take more. */
const MOST_CLOCK_OFFSET = 60_000;

/** States of routes of others that lead into the mesh, all of them or in part. */
const ROUTED: ReadonlySet<string> = new Set(['in force', 'partly local']);

export async function diagnose(view: MeshView, status: MeshStatus): Promise<Finding[]> {
  return withoutContradiction([
    ...diagnoseMesh(view, status, Date.now()),
    ...sayReload(view),
    ...(await diagnoseFlows(view.flows)),
    await checkSpace(view.stateDirectory, view.inForce.saveFault),
    ...(await checkHost(scopeOf(status))),
  ]);
}

/** What the gateway knows of itself. Pure, but for `view`. */
function diagnoseMesh(view: MeshView, status: MeshStatus, now: number): Finding[] {
  if (view.identity.gone !== undefined) {
    const text = `Nothing is routed any more, because the edge does not know this gateway: ${view.identity.gone}`;
    return [problem('identity', text, forgetCommand(status.interface, view.stateDirectory))];
  }
  return [
    sayTwins(view, status),
    ...diagnoseEdges(status, now),
    sayClock(view),
    sayPolicy(view),
    ...sayKernel(view),
    ...sayPeers(view, status),
    ...diagnosePaths(status),
    ...diagnoseBreakout(status, view.inForce.netmap),
    ...sayConflicts(view.kernel.conflicts),
    ...sayAdvertised(view, status),
    sayDiagnosis(status),
  ];
}

/** What the checks of the host need to know of a running gateway. */
export function scopeOf(status: MeshStatus): GatewayScope {
  const prefixes = (texts: readonly string[]) =>
    texts.flatMap((text) => parsePrefix(text) ?? []).filter(({ length }) => length > 0);
  const { mesh, peers, routes, edges, mtu } = status;
  return {
    interfaceName: status.interface,
    running: true,
    served: prefixes(routes.filter(({ state }) => state === 'ours').map(({ prefix }) => prefix)),
    remote: prefixes([
      ...(mesh === null ? [] : [mesh.ipv4, mesh.ipv6]),
      ...peers.flatMap((peer) => [peer.mesh.ipv4, peer.mesh.ipv6]),
      ...routes.filter(({ state }) => ROUTED.has(state)).map(({ prefix }) => prefix),
    ]),
    relays: edges.flatMap(({ name, endpoint }) => (endpoint === null ? [] : { name, endpoint })),
    apis: edges.flatMap(({ name, apis }) => apis.map((endpoint) => ({ name, endpoint }))),
    mesh: mesh === null ? [] : [mesh.ipv4, mesh.ipv6].flatMap((text) => parseAddress(text) ?? []),
    answers: status.diagnosis !== null,
    mtu,
  };
}

/** Traffic flows by the settings of before. @returns nothing while there is no fault */
export function sayReload({ reloadFault: fault }: Pick<MeshView, 'reloadFault'>): Finding[] {
  if (fault === undefined) return [];
  const effect = fault.inPart
    ? 'was applied only in part'
    : 'changed nothing: the settings of before stay in force';
  const text = `The reload of the configuration at ${new Date(fault.at).toISOString()} ${effect}. ${fault.message} Put that right, then reload:`;
  return [warning('configuration', text, `kill -HUP ${process.pid}`)];
}

function sayTwins({ twins }: MeshView, { replica, connector }: MeshStatus): Finding {
  if (twins === undefined) {
    return ok('identity', `Replica ${replica.id} of connector ${connector.name}.`);
  }
  const seen = twins.length === 0 ? '' : ` (the edge sees ${twins.join(' and ')})`;
  const text = `Another machine runs with a copy of this gateway's identity${seen}: each takes the other's place at the edge again and again, and packets go to one or the other. Give the one that is the copy an identity of its own, there:`;
  return problem('identity', text, 'connector down --forget', 'connector up --token TOKEN');
}

function sayClock({ clockOffset: offset }: MeshView): Finding {
  if (offset === undefined || Math.abs(offset) < MOST_CLOCK_OFFSET) {
    return ok('clock', offset === undefined ? 'Not compared yet.' : "Agrees with the edge's.");
  }
  const direction = offset > 0 ? 'behind' : 'ahead of';
  const text = `This host's clock is ${Math.round(Math.abs(offset) / 1_000)} s ${direction} the edge's: handshakes may be refused as replays. Set the one that is wrong.`;
  return warning('clock', text);
}

/** Only peers that something was sent to: a mesh in which nobody speaks is not a broken one. */
function sayPeers({ silence }: MeshView, { peers }: MeshStatus): Finding[] {
  const silent = peers.flatMap(({ connector, publicKey, lastHandshake, path }) => {
    const since = silence.since(publicKey);
    if (since === undefined) return [];
    const last = lastHandshake === null ? 'never' : `at ${lastHandshake}`;
    return problem(
      'peers',
      `Nothing was heard from ${connector} since ${new Date(since).toISOString()}, although there is traffic for it; the last handshake with it was ${last}. Is it up, and bound to ${path.edge ?? 'an edge'}?`,
    );
  });
  if (silent.length > 0) return silent;
  return [ok('peers', peers.length === 0 ? 'There are none.' : 'Each answers, or was not asked.')];
}

function sayPolicy({ policy }: MeshView): Finding {
  if (policy.fault === undefined) {
    const { state } = policy;
    return ok('policy', state === undefined ? 'There is none.' : `Version ${state.version}.`);
  }
  const effect = policy.closed
    ? 'so nothing passes to or from other connectors'
    : 'so the one before it stays in force';
  return problem(
    'policy',
    `The policy cannot be put in place, ${effect}; it is tried again. ${policy.fault}`,
  );
}

function sayKernel({ inForce: { kernelFault, contention }, kernel }: MeshView): Finding[] {
  const said = kernel.warnings.map((text) => warning('routes', text));
  if (contention !== undefined) said.unshift(problem('routes', contention));
  if (kernelFault !== undefined) {
    const text = `Not all of the netmap is installed, and it is tried again: ${kernelFault}`;
    said.unshift(problem('routes', text));
  }
  return said.length > 0 ? said : [ok('routes', 'All of the netmap is installed.')];
}

function sayAdvertised(view: MeshView, { routes }: MeshStatus): Finding[] {
  const said = [...sayAnnounced(view), ...sayPending(routes)];
  return said.length > 0 ? said : [ok('advertised', 'The edge knows and has approved them.')];
}

function sayAnnounced({ identity, announceFault: fault }: MeshView): Finding[] {
  if (!identity.advertisePending) return [];
  const what = identity.advertise.join(', ') || 'nothing any more';
  const why = fault === undefined ? '' : ` ${fault.message}`;
  const text =
    fault?.again === false
      ? `The edge does not take that this gateway advertises ${what}: correct --advertise.${why}`
      : `The edge does not know yet that this gateway advertises ${what}; it is told again.${why}`;
  return [warning('advertised', text)];
}

function sayPending(routes: MeshStatus['routes']): Finding[] {
  return routes
    .filter(({ state }) => state === 'pending')
    .map(({ prefix }) =>
      warning(
        'advertised',
        `${prefix} waits for approval, on the edge:`,
        `connector routes approve ${prefix}`,
      ),
    );
}

function sayDiagnosis({ diagnosis }: Pick<MeshStatus, 'diagnosis'>): Finding {
  if (diagnosis === null) return skipped('diagnosis', 'They are not answered (--no-diagnosis).');
  if (diagnosis.fault !== null) {
    const text = `Other gateways cannot ask this one about flows (TCP port ${DIAGNOSIS_PORT} on its mesh IPs): ${diagnosis.fault}. It is tried again.`;
    return warning('diagnosis', text, `ss -tlnp sport = :${DIAGNOSIS_PORT}`);
  }
  return ok('diagnosis', `Answered on the mesh IPs, TCP port ${DIAGNOSIS_PORT}.`);
}
